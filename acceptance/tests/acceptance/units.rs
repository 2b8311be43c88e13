//! The units in `deploy/systemd/`: systemd understands them, each starts a program of this house with
//! settings that it has, and those that need no database run as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use configapi_acceptance::{Binary, Process, Rest, eventually, path_of};
use reqwest::StatusCode;

const PROGRAMS: [Binary; 4] =
    [Binary::ConfigApi, Binary::CommandService, Binary::QueryService, Binary::Gateway];
/// Where units look for programs, and where systemd makes the directories of their states.
const INSTALLED: &str = "/usr/local/bin/";
const STATES: &str = "/var/lib/";

/// A unit, as far as it differs from others.
struct Unit {
    program: Binary,
    arguments: Vec<String>,
    settings: BTreeMap<String, String>,
    state: Option<String>,
}

impl Unit {
    fn named(name: &str) -> Self {
        Self::read(&folder().join(format!("{name}.service")))
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let values = |key: &str| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let found = lines.filter(|(found, _)| *found == key);
            found.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
        };
        let command = values("ExecStart").remove(0);
        let mut words = command.split(' ').map(ToOwned::to_owned);
        let program = words.next().unwrap();
        let name = program.strip_prefix(INSTALLED).unwrap();
        let settings = values("Environment");
        let settings = settings.iter().map(|setting| setting.split_once('=').unwrap());
        Self {
            program: PROGRAMS.into_iter().find(|binary| binary.name() == name).unwrap(),
            arguments: words.collect(),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            state: values("StateDirectory").pop(),
        }
    }

    /// Starts its program with its settings, but for these, and with directories that lie in `machine`.
    fn start(&self, machine: &Path, others: &[&str]) -> Process {
        if let Some(state) = &self.state {
            fs::create_dir_all(machine.join(state)).unwrap();
        }
        let states = format!("{}/", machine.display());
        let mut settings: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.settings {
            settings.push((name, value.replace(STATES, &states)));
        }
        settings.extend(others.iter().map(|name| (*name, "127.0.0.1:0".to_owned())));
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let log = machine.join(format!("{}.log", self.arguments.join("-")));
        Process::start(self.program, &arguments, &settings, log)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/systemd")
}

fn all() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let units: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "service")).collect();
    assert!(units.len() >= PROGRAMS.len(), "{units:?}");
    units
}

#[test]
fn a_unit_names_settings_that_its_program_has_and_writes_where_it_may() {
    let mut starting = Vec::new();
    for path in all() {
        let unit = Unit::read(&path);
        let mut help = Command::new(path_of(unit.program));
        let help = help.args(&unit.arguments).arg("--help").output().unwrap();
        assert!(help.status.success(), "{}: {:?}", path.display(), unit.arguments);
        let help = String::from_utf8(help.stdout).unwrap();
        for name in unit.settings.keys() {
            let known = ["=]", "]"].map(|end| format!("[env: {name}{end}"));
            assert!(known.iter().any(|it| help.contains(it)), "{}: {name}", path.display());
        }
        let state = unit.state.map_or(String::new(), |state| format!("{STATES}{state}/"));
        for (name, value) in unit.settings {
            let is_only_read = name == "CONFIGAPI_STORE" && unit.arguments == ["audit"];
            let is_a_path = value.contains(STATES) && !is_only_read;
            assert!(!is_a_path || value.contains(&state), "{}: {name}", path.display());
        }
        starting.push(unit.program);
    }
    for program in PROGRAMS {
        assert!(starting.contains(&program), "no unit starts {}", program.name());
    }
}

#[tokio::test]
async fn everything_in_one_process_and_its_audit_trail_run_as_their_units_say() {
    let machine = tempfile::tempdir().unwrap();
    let addresses = ["CONFIGAPI_COMMAND_ADDR", "CONFIGAPI_QUERY_ADDR", "CONFIGAPI_GATEWAY_ADDR"];
    let server = Unit::named("configapi-serve").start(machine.path(), &addresses);
    let rest = Rest::new(server.address_of("gateway").await);
    eventually("the server to take a write", || async {
        rest.put("from-a-unit", "1").await.filter(|(status, _)| *status == StatusCode::OK)
    })
    .await;
    let audit = Unit::named("configapi-audit").start(machine.path(), &["CONFIGAPI_ADMIN_ADDR"]);
    let trail = machine.path().join("configapi-audit/audit.jsonl");
    eventually("the audit trail to tell of it", || async {
        fs::read_to_string(&trail).ok().filter(|records| records.contains("\"from-a-unit\""))
    })
    .await;
    assert!(audit.running_id().is_some(), "{}", audit.said());
}

/// What systemd itself says of them, where it is installed.
#[test]
fn systemd_understands_the_units() {
    let here = tempfile::tempdir().unwrap();
    // What is installed is looked for, so it has to be where the units say.
    let programs = path_of(Binary::ConfigApi).parent().unwrap().display().to_string() + "/";
    let mut copies = Vec::new();
    for path in all() {
        let copy = here.path().join(path.file_name().unwrap());
        fs::write(&copy, fs::read_to_string(&path).unwrap().replace(INSTALLED, &programs)).unwrap();
        copies.push(copy);
    }
    let common = "configapi-.service.d/common.conf";
    fs::create_dir(here.path().join("configapi-.service.d")).unwrap();
    fs::copy(folder().join(common), here.path().join(common)).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(copies).output() else {
        // Past the test runner's own capture, so that it is seen.
        let note = b"LEFT OUT: what systemd says of its units; systemd-analyze is not installed\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note);
        return;
    };
    // It also tells of other units of this machine.
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("configapi")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
