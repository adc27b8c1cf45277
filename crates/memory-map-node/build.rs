//! Link arguments of a Node-API addon.

fn main() {
    napi_build::setup();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") {
        // Rust's standard library names libiconv, of which nothing is used.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-dead_strip_dylibs");
        // Else it is the path of the file on the machine that built it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/memory-map.node");
    }
}
