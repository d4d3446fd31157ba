//! Messages, clients and servers of our wire.

fn main() -> std::io::Result<()> {
    let files = [
        "switchyard/v1/payments.proto",
        "switchyard/v1/wallets.proto",
        "switchyard/v1/lines.proto",
        "switchyard/v1/nodes.proto",
        "switchyard/v1/events.proto",
        "switchyard/admin/v1/organisations.proto",
        "switchyard/admin/v1/keys.proto",
        "switchyard/admin/v1/nodes.proto",
        "switchyard/admin/v1/installation.proto",
        "switchyard/engine/v1/orgs.proto",
        "switchyard/engine/v1/operations.proto",
        "switchyard/engine/v1/failures.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let folder = std::env::var_os("OUT_DIR").expect("cargo says where");
    let descriptors = std::path::Path::new(&folder).join("descriptors.bin");
    tonic_prost_build::configure()
        .file_descriptor_set_path(descriptors)
        // Maps in order: what is written twice is written alike.
        .btree_map(".")
        // What is in a message already need not be copied out of it.
        .bytes(".switchyard.engine.v1.Call.request")
        .bytes(".switchyard.engine.v1.Answer.answer")
        .bytes(".switchyard.engine.v1.Taken.row")
        .bytes(".switchyard.engine.v1.Found.row")
        // These carry spending power; a redacted `Debug` is written by hand.
        .skip_debug([
            "switchyard.admin.v1.RegisterNodeRequest",
            "switchyard.admin.v1.CreateKeyResponse",
            "switchyard.admin.v1.FoundPaid",
            "switchyard.engine.v1.RegisterNodeRequest",
            "switchyard.engine.v1.FoundPaid",
        ])
        .compile_protos(&files, &["."])
}
