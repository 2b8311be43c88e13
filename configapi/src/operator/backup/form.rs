//! The form of a backup: JSON lines. First a header that says whose log it is; then every row of
//! the log, as all stores hold it, genesis first; last a checksum over all lines before it. It is a
//! stored form: what was released is read for ever.

use std::io::{self, BufRead, Read as _, Write};

use configapi_event_log::domain::{Position, Timestamp, Version};
use configapi_event_log::{
    CommandPart, Epoch, EpochStart, Hash, Head, Identity, Lineage, LogId, StoredEvent, check_row,
    event_type_named, log_id_of, verify_link,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::commands::hex;
use crate::operator::verify::parse_hash;

/// What the first line calls itself.
const FORM: &str = "configapi-backup";
/// The version of the form.
const VERSION: u32 = 1;
/// The longest line, in bytes: two values of a row, each character escaped twice, and room.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// What files begin with that programs made which compress: zstd, gzip, xz, bzip2.
const COMPRESSED: [&[u8]; 4] =
    [&[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b], &[0xfd, b'7', b'z', b'X', b'Z', 0], b"BZh"];

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    form: String,
    version: u32,
    log_id: String,
    /// Epochs and the first position of each.
    epochs: Vec<(u64, u64)>,
    head_position: u64,
    head_hash: String,
}

/// A row of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    position: u64,
    version: u64,
    recorded_at: i64,
    part_index: u32,
    part_size: u32,
    stream: String,
    event_type: String,
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    request_id: Option<String>,
    payload: String,
    metadata: String,
    hash: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    rows: u64,
    sha256: String,
}

/// Why a backup is not to be used. Never repeats what it found.
#[derive(Debug, thiserror::Error)]
pub enum BadBackup {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It may be whole, but it has to be unpacked.
    #[error("it is compressed")]
    Compressed,
    /// It is not what it was when it was written.
    #[error("line {line}: {why}")]
    Damaged {
        /// Where.
        line: u64,
        /// What is wrong there.
        why: String,
    },
}

impl Header {
    /// What a backup of this log, up to here, says first.
    pub fn new(identity: &Identity, head: &Head) -> Self {
        let epochs = identity.lineage.epochs().iter();
        let epochs = epochs.filter(|start| start.epoch <= head.epoch);
        Self {
            form: FORM.to_owned(),
            version: VERSION,
            log_id: identity.log_id.to_string(),
            epochs: epochs.map(|start| (start.epoch.0, start.first_position.0)).collect(),
            head_position: head.position.0,
            head_hash: head.hash.to_string(),
        }
    }

    /// The epochs that the log went through.
    pub fn lineage(&self) -> Lineage {
        let start = |&(epoch, position): &(u64, u64)| EpochStart {
            epoch: Epoch(epoch),
            first_position: Position(position),
        };
        Lineage::from_rows(self.epochs.iter().map(start).collect())
    }

    /// Whether a log may have gone through these epochs and end where it does. A header that
    /// [`Header::new`] did not write may say anything.
    pub fn has_sane_epochs(&self) -> bool {
        // What every store can count to.
        let positions = 1..=i64::MAX.unsigned_abs();
        self.epochs.first() == Some(&(Epoch::FIRST.0, 1))
            && self.epochs.is_sorted_by(|(before, _), (epoch, _)| before < epoch)
            && self.epochs.iter().all(|(_, position)| positions.contains(position))
            && self.lineage().lost_by(self.head_position()).is_none()
    }

    /// The hash of the last event, as it is written.
    pub fn head_hash(&self) -> &str {
        &self.head_hash
    }

    /// The last position.
    pub fn head_position(&self) -> Position {
        Position(self.head_position)
    }
}

/// Writes a backup.
#[derive(Debug)]
pub struct BackupWriter<W> {
    out: W,
    digest: Sha256,
    rows: u64,
    line: Vec<u8>,
}

impl<W: Write> BackupWriter<W> {
    /// Writes the first line.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self { out, digest: Sha256::new(), rows: 0, line: Vec::new() };
        writer.line(header)?;
        Ok(writer)
    }

    /// Writes a row.
    pub fn write(&mut self, row: &StoredEvent) -> io::Result<()> {
        self.rows += 1;
        self.line(&Row {
            position: row.position.0,
            version: row.version.0,
            recorded_at: row.recorded_at.0,
            part_index: row.part.index,
            part_size: row.part.size,
            stream: row.stream.to_string(),
            event_type: row.event_type.to_string(),
            schema_version: row.schema_version,
            request_id: row.request_id.as_deref().map(ToOwned::to_owned),
            payload: row.payload.to_string(),
            metadata: row.metadata.to_string(),
            hash: row.hash.to_string(),
        })
    }

    /// Writes the last line, and gives back what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        let sha256 = hex(&self.digest.finalize_reset());
        let rows = self.rows;
        self.line(&Trailer { rows, sha256 })?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.digest.update(&self.line);
        self.out.write_all(&self.line)
    }
}

/// Reads a backup, and checks all of it on the way: a row is only handed over if the chain holds, and if
/// a store may be asked to write it behind the one before. Whether the end is right shows at the end.
#[derive(Debug)]
pub struct BackupReader<R> {
    input: R,
    header: Header,
    log_id: LogId,
    began_at: Timestamp,
    digest: Sha256,
    line: Vec<u8>,
    lines: u64,
    last: Position,
    last_part: CommandPart,
    last_hash: Hash,
    last_recorded_at: Timestamp,
}

impl<R: BufRead> BackupReader<R> {
    /// Reads the header and the genesis row.
    pub fn new(mut input: R) -> Result<Self, BadBackup> {
        let start = input.fill_buf()?;
        if COMPRESSED.iter().any(|kind| start.starts_with(kind)) {
            return Err(BadBackup::Compressed);
        }
        let mut reader = Self {
            input,
            header: Header {
                form: String::new(),
                version: 0,
                log_id: String::new(),
                epochs: Vec::new(),
                head_position: 0,
                head_hash: String::new(),
            },
            log_id: LogId::new_at(Timestamp(0)),
            began_at: Timestamp(0),
            digest: Sha256::new(),
            line: Vec::new(),
            lines: 0,
            last: Position::GENESIS,
            last_part: CommandPart::WHOLE,
            last_hash: Hash::ZERO,
            last_recorded_at: Timestamp(0),
        };
        reader.read_line()?;
        reader.header = reader.parse()?;
        if reader.header.form != FORM || reader.header.version != VERSION {
            return Err(reader.damaged("is not the header of a backup that this program reads"));
        }
        if !reader.header.has_sane_epochs() {
            return Err(reader.damaged("names epochs that no log goes through"));
        }
        reader.digest_line();
        reader.read_line()?;
        let genesis = reader.row()?;
        let log_id = log_id_of(&genesis);
        reader.log_id = log_id.ok_or_else(|| reader.damaged("is not the genesis row of a log"))?;
        if reader.log_id.to_string() != reader.header.log_id {
            return Err(reader.damaged("begins another log than the header says"));
        }
        reader.digest_line();
        reader.began_at = genesis.recorded_at;
        reader.last_recorded_at = genesis.recorded_at;
        reader.last_hash = genesis.hash;
        Ok(reader)
    }

    /// Whose log it is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The id and the beginning of the log.
    pub fn beginning(&self) -> (LogId, Timestamp) {
        (self.log_id, self.began_at)
    }

    /// The next row; none after the last, once the checksum was found right.
    pub fn next(&mut self) -> Result<Option<StoredEvent>, BadBackup> {
        self.read_line()?;
        if self.last == self.header.head_position() {
            return self.end().map(|()| None);
        }
        let row = self.row()?;
        if row.position != self.last.next() || row.recorded_at < self.last_recorded_at {
            return Err(self.damaged("is not the row that must come next"));
        }
        verify_link(self.last_hash, &row).map_err(|error| self.damaged(&error.to_string()))?;
        check_row(self.last_part, &row)
            .map_err(|rule| self.damaged(&format!("{rule} (at position {})", row.position)))?;
        self.digest_line();
        self.last = row.position;
        self.last_part = row.part;
        self.last_hash = row.hash;
        self.last_recorded_at = row.recorded_at;
        Ok(Some(row))
    }

    fn end(&mut self) -> Result<(), BadBackup> {
        let trailer: Trailer = self.parse()?;
        let sha256 = hex(&self.digest.finalize_reset());
        if trailer.sha256 != sha256 || trailer.rows != self.last.0 + 1 {
            return Err(self.damaged("the checksum does not fit: the file is damaged"));
        }
        if self.last_hash.to_string() != self.header.head_hash {
            return Err(self.damaged("the last row is not the head that the header names"));
        }
        if !self.last_part.is_last() {
            let why = format!("the log ends within a command (at position {})", self.last);
            return Err(self.damaged(&why));
        }
        match self.input.fill_buf()? {
            [] => Ok(()),
            _ => Err(self.damaged("more follows after the end")),
        }
    }

    fn row(&self) -> Result<StoredEvent, BadBackup> {
        let row: Row = self.parse()?;
        let hash = parse_hash(&row.hash).ok_or_else(|| self.damaged("the hash is not a hash"))?;
        Ok(StoredEvent {
            position: Position(row.position),
            version: Version(row.version),
            recorded_at: Timestamp(row.recorded_at),
            part: CommandPart { index: row.part_index, size: row.part_size },
            stream: row.stream.into(),
            event_type: event_type_named(&row.event_type),
            schema_version: row.schema_version,
            request_id: row.request_id.map(Into::into),
            payload: row.payload.into(),
            metadata: row.metadata.into(),
            hash,
        })
    }

    fn read_line(&mut self) -> Result<(), BadBackup> {
        self.line.clear();
        self.lines += 1;
        (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line)?;
        match self.line.last() {
            Some(b'\n') => Ok(()),
            Some(_) => Err(self.damaged("is cut off, or too long")),
            None => Err(self.damaged("the file ends here, too early")),
        }
    }

    fn digest_line(&mut self) {
        self.digest.update(&self.line);
    }

    /// The line as what it must be. The parser's own text could repeat a value.
    fn parse<T: DeserializeOwned>(&self) -> Result<T, BadBackup> {
        serde_json::from_slice(&self.line).map_err(|_| self.damaged("is not what must come here"))
    }

    fn damaged(&self, why: &str) -> BadBackup {
        BadBackup::Damaged { line: self.lines, why: why.to_owned() }
    }
}
