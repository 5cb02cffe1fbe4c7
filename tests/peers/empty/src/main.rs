//! What every Rust program weighs.
fn main() {}
