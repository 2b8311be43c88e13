//! What the kernel knows of this process, asked when the metrics are read. Where there is no /proc,
//! there are no such metrics.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// The unit of times in /proc, the same on all architectures that Linux runs servers on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name, help, value: Option<f64>| match value {
            Some(value) => one(&mut encoder, name, help, &ConstGauge::new(value)),
            None => Ok(()),
        };
        let stat = Stat::read();
        let started = stat.as_ref().and_then(Stat::start_time_seconds);
        gauge("process_start_time_seconds", "When it started, Unix time", started)?;
        let resident = status_bytes("VmRSS:");
        gauge("process_resident_memory_bytes", "Memory it holds", resident)?;
        gauge("process_open_fds", "File descriptors it has open", open_descriptors())?;
        gauge("process_max_fds", "File descriptors it may open", max_descriptors())?;
        if let Some(cpu) = stat.map(|stat| stat.cpu_seconds) {
            one(&mut encoder, "process_cpu_seconds", "Time on a CPU", &ConstCounter::new(cpu))?;
        }
        Ok(())
    }
}

fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let kind: MetricType = metric.metric_type();
    metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
}

struct Stat {
    cpu_seconds: f64,
    start_ticks: f64,
}

impl Stat {
    /// The fields of /proc/self/stat after the command, which is in parentheses and may contain
    /// blanks.
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let cpu_seconds = (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND;
        Some(Self { cpu_seconds, start_ticks: ticks(19)? })
    }

    fn start_time_seconds(&self) -> Option<f64> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let boot = text.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(boot.trim().parse::<f64>().ok()? + self.start_ticks / TICKS_PER_SECOND)
    }
}

fn status_bytes(key: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}

fn max_descriptors() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
