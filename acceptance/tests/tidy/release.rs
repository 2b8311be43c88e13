//! What a release is compiled with, and that nothing else is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tree::root;

/// What cargo calls in place of the compiler.
fn wrapper() -> PathBuf {
    let config = std::fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    let line = config.lines().find_map(|line| line.strip_prefix("rustc-wrapper = ")).unwrap();
    root().join(line.trim_matches('"'))
}

/// What a compiler called in this way would be told.
fn arguments_for(arguments: &[&str], profile_into: Option<&str>) -> String {
    told_by(&wrapper(), arguments, profile_into)
}

fn told_by(wrapper: &Path, arguments: &[&str], profile_into: Option<&str>) -> String {
    let mut command = Command::new(wrapper);
    command.arg("echo").args(arguments).env_remove("CONFIGAPI_PROFILE_INTO");
    if let Some(directory) = profile_into {
        command.env("CONFIGAPI_PROFILE_INTO", directory);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_release_is_compiled_with_what_is_known_to_run_often() {
    let profile = format!("-Cprofile-use={}", root().join(".cargo/release.profdata").display());
    for of_a_release in [["-C", "linker-plugin-lto"], ["-C", "lto=fat"]] {
        let told = arguments_for(&of_a_release, None);
        assert!(told.starts_with(&of_a_release.join(" ")), "{told}");
        assert!(told.contains(&profile), "{told}");
    }
}

/// What was compiled with one profile cannot be linked with what was compiled with another.
#[test]
fn a_target_directory_keeps_the_profile_that_it_was_begun_with() {
    let work = tempfile::tempdir().unwrap();
    let profile = work.path().join("release.profdata");
    let own_wrapper = work.path().join("wrapper");
    std::fs::copy(wrapper(), &own_wrapper).unwrap();
    let release = work.path().join("target/release");
    let kept = release.join("release.profdata");
    let compile = |folder: &str| {
        let out_dir = release.join(folder);
        std::fs::create_dir_all(&out_dir).unwrap();
        let arguments = ["-C", "lto=fat", "--out-dir", out_dir.to_str().unwrap(), "--edition=2024"];
        let told = told_by(&own_wrapper, &arguments, None);
        assert!(told.contains(&format!("-Cprofile-use={} ", kept.display())), "{told}");
        std::fs::read_to_string(&kept).unwrap()
    };
    std::fs::write(&profile, "the first").unwrap();
    assert_eq!(compile("deps"), "the first");
    std::fs::write(&profile, "the second").unwrap();
    assert_eq!(compile("deps"), "the first");
    assert_eq!(compile("examples"), "the first");
    std::fs::remove_dir_all(&release).unwrap();
    assert_eq!(compile("deps"), "the second");
}

#[test]
fn what_is_built_to_count_does_not_use_what_was_counted() {
    let told = arguments_for(&["-C", "lto=fat"], Some("counts"));
    assert_eq!(told, "-C lto=fat -Cprofile-generate=counts");
}

#[test]
fn tests_and_tools_are_compiled_as_ever() {
    for into in [None, Some("counts")] {
        assert_eq!(arguments_for(&["-C", "opt-level=1"], into), "-C opt-level=1");
    }
}

#[test]
fn the_compiler_can_read_the_profile() {
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("lib.rs");
    let function = "#[inline(never)] pub fn double(number: u32) -> u32 { number.wrapping_mul(2) }";
    std::fs::write(&source, function).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--crate-type=lib", "--emit=obj", "-O"])
        .arg(format!("-Cprofile-use={}", root().join(".cargo/release.profdata").display()))
        .arg("-o")
        .arg(work.path().join("lib.o"))
        .arg(source)
        .output()
        .unwrap();
    // One that it cannot make sense of is only worth a warning to it.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

/// What is linked into what these arguments name, with versions and features.
fn crates_of(selection: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none"])
        .args(["--format={p} {f}"])
        .args(selection)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// The compiler names functions by the features of their crates, and the profile knows them by these
/// names: a feature more or less, and it knows next to none of those that are built upon that crate. So
/// what the profile is made from is what is run, and neither is built along with the benchmarks.
#[test]
fn a_release_is_known_to_its_profile_however_it_is_built() {
    const SERVERS: [&str; 4] = [
        "-p=configapi",
        "-p=configapi-command-service",
        "-p=configapi-query-service",
        "-p=configapi-gateway",
    ];
    let made_run = crates_of(&SERVERS[..1]);
    assert!(made_run.len() > 100, "{made_run:?}");
    for selection in [&[][..], &SERVERS] {
        let others = crates_of(selection);
        let differing: Vec<_> = made_run.symmetric_difference(&others).collect();
        assert!(differing.is_empty(), "{selection:?}: {differing:?}");
    }
    let packages = SERVERS.map(|server| server.replace('=', " ")).join(" ");
    for how in ["Dockerfile", "scripts/bench", "scripts/profile"] {
        let text = std::fs::read_to_string(root().join(how)).unwrap().replace("\\\n", " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_built_so = text.contains(&format!("cargo build --release --locked {packages}"));
        assert!(is_built_so, "{how} builds other servers");
    }
}
