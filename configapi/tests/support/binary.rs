//! The binary as a process: arguments and stdin in; stdout, stderr and exit code out.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

/// The binary, not started yet. It sees none of this process's environment.
pub struct Configapi {
    command: Command,
    stdin: Stdin,
    reads_stdout: bool,
    reads_stderr: bool,
    stderr_is_terminal: bool,
    /// Where its stdout goes instead of to who started it.
    stdout: Option<File>,
}

/// Where it reads from.
enum Stdin {
    Nothing,
    Bytes(Vec<u8>),
    /// A terminal, at which somebody types this.
    Terminal(&'static str),
}

/// What a process left.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A process that goes on.
pub struct Running {
    pub child: Child,
    pub stdout: BufReader<PipeReader>,
    stderr: Receiver<String>,
    keyboard: Option<File>,
}

/// The binary with these arguments.
pub fn configapi<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Configapi {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configapi"));
    command.args(arguments).env_clear().env("USER", "tester");
    // Where a binary that was built to be measured leaves what it reached.
    let coverage = "LLVM_PROFILE_FILE";
    command.envs(std::env::var_os(coverage).map(|path| (coverage, path)));
    Configapi {
        command,
        stdin: Stdin::Nothing,
        reads_stdout: true,
        reads_stderr: true,
        stderr_is_terminal: false,
        stdout: None,
    }
}

/// A pipe for a process to write into. If nobody is to read it, its reader has gone already, and what
/// is here to read from is the end of another one, which is empty.
fn pipe(is_read: bool) -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    if is_read { (reader, writer) } else { (io::pipe().unwrap().0, writer) }
}

/// A terminal: where it is typed, and what a process reads from.
fn terminal() -> (File, File) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (keyboard.into(), terminal)
}

impl Configapi {
    pub fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn in_directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// As somebody to whom the system may refuse something. None if there is nobody else here, or they
    /// may not run the binary.
    pub fn run_by_nobody(mut self) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Some(self);
        }
        let (nobody, nogroup) = (65_534, 65_534);
        self.command.uid(nobody).gid(nogroup);
        let mut probe = Command::new(self.command.get_program());
        let probe = probe.arg("--version").uid(nobody).gid(nogroup).stdout(Stdio::null());
        let may_run = probe.current_dir("/").status().is_ok_and(|status| status.success());
        may_run.then_some(self)
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// With a terminal as its stdin, at which somebody types this.
    pub fn typed(mut self, text: &'static str) -> Self {
        self.stdin = Stdin::Terminal(text);
        self
    }

    /// With a stdout whose reader has gone before it starts.
    pub fn nobody_reads_stdout(mut self) -> Self {
        self.reads_stdout = false;
        self
    }

    /// With a stdout that takes nothing, as a full disk does.
    pub fn has_no_room_for_stdout(mut self) -> Self {
        self.stdout = Some(File::options().write(true).open("/dev/full").unwrap());
        self
    }

    /// With a stdout that is appended to this file.
    pub fn appends_stdout_to(mut self, path: &Path) -> Self {
        self.stdout = Some(File::options().append(true).create(true).open(path).unwrap());
        self
    }

    /// With a stderr whose reader has gone before it starts.
    pub fn nobody_reads_stderr(mut self) -> Self {
        self.reads_stderr = false;
        self
    }

    /// With a terminal as its stderr, as where somebody looks on.
    pub fn somebody_sees_stderr(mut self) -> Self {
        self.stderr_is_terminal = true;
        self
    }

    /// Starts it, and lets it go on.
    pub fn starts(mut self) -> Running {
        let (stdin, keyboard) = match self.stdin {
            Stdin::Nothing => (Stdio::null(), None),
            Stdin::Bytes(_) => (Stdio::piped(), None),
            Stdin::Terminal(text) => {
                let (mut keyboard, terminal) = terminal();
                keyboard.write_all(text.as_bytes()).unwrap();
                (terminal.into(), Some(keyboard))
            }
        };
        let (stdout, to_stdout) = pipe(self.reads_stdout);
        self.command.stdin(stdin).stdout(to_stdout);
        let stderr: Box<dyn io::Read + Send> = if self.stderr_is_terminal {
            let (screen, terminal) = terminal();
            self.command.stderr(terminal);
            Box::new(screen)
        } else {
            let (stderr, to_stderr) = pipe(self.reads_stderr);
            self.command.stderr(to_stderr);
            Box::new(stderr)
        };
        if let Some(file) = self.stdout {
            self.command.stdout(file);
        }
        let mut child = self.command.spawn().unwrap();
        // It holds the ends to write into, and a pipe ends with the last of them.
        drop(self.command);
        if let Stdin::Bytes(bytes) = self.stdin {
            let mut stdin = child.stdin.take().unwrap();
            // Whoever does not read its stdin closes it; that is its own affair.
            thread::spawn(move || stdin.write_all(&bytes));
        }
        let stdout = BufReader::new(stdout);
        // Read whether or not the test asks for it: a process whose log nobody takes stands still.
        let mut log = BufReader::new(stderr);
        let (sender, stderr) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            // A terminal that nobody has open any more ends with an error.
            while matches!(log.read_line(&mut line), Ok(1..)) {
                let _ = sender.send(std::mem::take(&mut line));
            }
        });
        Running { child, stdout, stderr, keyboard }
    }

    /// Starts it, and waits for its end.
    pub fn ends(self) -> Ended {
        self.starts().ends()
    }
}

impl Running {
    /// Waits for its end.
    pub fn ends(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ended { code, stdout, stderr: self.stderr.iter().collect() }
    }

    /// Reads no more of its stdout, and waits for its end.
    pub fn closes_stdout_and_ends(mut self) -> Ended {
        drop(self.stdout);
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ended { code, stdout: String::new(), stderr: self.stderr.iter().collect() }
    }

    /// Types this at its terminal.
    pub fn types(&mut self, text: &str) {
        self.keyboard.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The first line of its log, from here on, with this text.
    pub fn log_with(&self, text: &str) -> String {
        self.stderr.iter().find(|line| line.contains(text)).unwrap()
    }

    /// All that it logs from here on, to its end.
    pub fn rest_of_log(&self) -> String {
        self.stderr.iter().collect()
    }

    /// The next line of its stdout, without the line break.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits for a line of its stderr that has this in it.
    pub fn says(&self, part: &str) -> String {
        let line = self.stderr.iter().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("it never said {part:?}"))
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Ended {
    /// Fails the test unless it succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Fails the test unless it ended with this code.
    #[track_caller]
    pub fn failed_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
