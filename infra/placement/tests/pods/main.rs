//! Calls between pods, over real connections of this machine: engines that only note what they are asked, and
//! a store that only shows what they say they have committed.

mod astray;
mod broken;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod guarded;
#[cfg(test)]
mod older;
mod operations;
mod rows;
#[cfg(test)]
mod stream_by_hand;
mod streamed;
mod taken;
