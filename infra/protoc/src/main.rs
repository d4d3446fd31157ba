//! Puts the vendored protobuf compiler where `.cargo/config.toml` expects it, so that building needs
//! nothing but Rust and a C compiler.

use std::{env, fs, io, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = env::args().nth(1).ok_or("usage: protoc FOLDER")?;
    let target = Path::new(&target);
    fs::create_dir_all(target.join("bin"))?;
    copy_if_changed(&protoc_bin_vendored::protoc_bin_path()?, &target.join("bin/protoc"))?;
    copy_folder(&protoc_bin_vendored::include_path()?, &target.join("include"))?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let into = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &into)?;
        } else {
            copy_if_changed(&entry.path(), &into)?;
        }
    }
    Ok(())
}

/// Leaves an unchanged file alone, so that Cargo sees no reason to build again.
fn copy_if_changed(from: &Path, to: &Path) -> io::Result<()> {
    if fs::read(to).is_ok_and(|have| fs::read(from).is_ok_and(|want| have == want)) {
        return Ok(());
    }
    fs::copy(from, to).map(|_| ())
}
