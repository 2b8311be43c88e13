//! Rows as `COPY … TO STDOUT (FORMAT binary)` sends them. Whatever comes, it is taken as whole rows
//! or refused: nothing is guessed, and nothing that is kept grows without a bound.

use std::mem::take;

use configapi_event_log::LogError;
use configapi_event_log::domain::Position;

use crate::row::Columns;
use crate::trouble::Trouble;

/// What a copy begins with.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Flags that change the form of the rows. None is known.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// The most bytes of a row, and of all that a header announces: far more than two values have that
/// are as large as values may be.
const MAX_BYTES: usize = 64 << 20;
/// What the number of columns is where no row follows.
const TRAILER: i16 = -1;
/// What the length of a NULL is.
const NULL: i32 = -1;

/// What is read of a copy, message by message. A message mostly is a row, but need not be.
#[derive(Debug)]
pub(crate) struct CopiedRows {
    /// Where the rows begin, to name the place if they cannot be read.
    from: Position,
    stage: Stage,
    /// The beginning of something whose end is still to come.
    rest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Rows,
    End,
}

/// Why something was not read.
enum Stop {
    /// There is more to come.
    Short,
    Broken(&'static str),
}

impl CopiedRows {
    pub(crate) fn new(from: Position) -> Self {
        Self { from, stage: Stage::Header, rest: Vec::new() }
    }

    /// Takes a message, and hands on each row that ends in it.
    pub(crate) fn take(
        &mut self,
        message: &[u8],
        hand_on: impl FnMut(&Columns<'_>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        if self.rest.is_empty() {
            let rest = self.read(message, hand_on)?;
            self.rest.extend_from_slice(rest);
        } else {
            let mut bytes = take(&mut self.rest);
            bytes.extend_from_slice(message);
            let left = self.read(&bytes, hand_on)?.len();
            bytes.drain(..bytes.len() - left);
            self.rest = bytes;
        }
        if self.rest.len() > MAX_BYTES {
            return Err(self.broken("a row has no end"));
        }
        Ok(())
    }

    /// Makes sure that nothing is missing.
    pub(crate) fn end(self) -> Result<(), Trouble> {
        match self.stage {
            Stage::End => Ok(()),
            Stage::Header | Stage::Rows => Err(self.broken("it ends too early")),
        }
    }

    /// Reads as far as it goes; answers what is left.
    fn read<'m>(
        &mut self,
        message: &'m [u8],
        mut hand_on: impl FnMut(&Columns<'m>) -> Result<(), Trouble>,
    ) -> Result<&'m [u8], Trouble> {
        let mut left = message;
        loop {
            let mut bytes = left;
            let outcome = match self.stage {
                Stage::Header => header(&mut bytes).map(|()| self.stage = Stage::Rows),
                Stage::Rows => match row(&mut bytes) {
                    Ok(Some(columns)) => {
                        hand_on(&columns)?;
                        Ok(())
                    }
                    Ok(None) => {
                        self.stage = Stage::End;
                        Ok(())
                    }
                    Err(stop) => Err(stop),
                },
                Stage::End if bytes.is_empty() => Err(Stop::Short),
                Stage::End => Err(Stop::Broken("it goes on after its end")),
            };
            match outcome {
                Ok(()) => left = bytes,
                Err(Stop::Short) => return Ok(left),
                Err(Stop::Broken(problem)) => return Err(self.broken(problem)),
            }
        }
    }

    fn broken(&self, problem: &str) -> Trouble {
        let problem = format!("the copy of the rows from here on is broken: {problem}");
        Trouble::Corrupt(LogError::Corrupt { position: self.from, problem })
    }
}

fn header(bytes: &mut &[u8]) -> Result<(), Stop> {
    if array(bytes)? != *SIGNATURE {
        return Err(Stop::Broken("it has no signature"));
    }
    if u32::from_be_bytes(array(bytes)?) & CRITICAL_FLAGS != 0 {
        return Err(Stop::Broken("its form is not known"));
    }
    let extension = u32::from_be_bytes(array(bytes)?);
    cut(bytes, i64::from(extension)).map(|_| ())
}

/// A row, or none at the end.
fn row<'m>(bytes: &mut &'m [u8]) -> Result<Option<Columns<'m>>, Stop> {
    let mut columns = Columns::default();
    let count = i16::from_be_bytes(array(bytes)?);
    if count == TRAILER {
        return Ok(None);
    }
    if usize::try_from(count) != Ok(columns.len()) {
        return Err(Stop::Broken("a row has another number of columns"));
    }
    for column in &mut columns {
        let length = i32::from_be_bytes(array(bytes)?);
        if length != NULL {
            *column = Some(cut(bytes, i64::from(length))?);
        }
    }
    Ok(Some(columns))
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Stop> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Stop::Short)?;
    *bytes = rest;
    Ok(*first)
}

fn cut<'m>(bytes: &mut &'m [u8], length: i64) -> Result<&'m [u8], Stop> {
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BYTES);
    let length = length.ok_or(Stop::Broken("a length is out of range"))?;
    let (first, rest) = bytes.split_at_checked(length).ok_or(Stop::Short)?;
    *bytes = rest;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: usize = crate::row::EPOCH_COLUMN + 1;

    type Owned = Vec<Option<Vec<u8>>>;

    fn rows() -> Vec<Owned> {
        let row = |number: usize| {
            let column = |at| (at != 8).then(|| vec![b'x'; (number * 7 + at) % 5]);
            (0..COLUMNS).map(column).collect()
        };
        (0..3).map(row).collect()
    }

    fn copy_of(rows: &[Owned]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, b'e', b'x']);
        for row in rows {
            bytes.extend(i16::try_from(row.len()).unwrap().to_be_bytes());
            for column in row {
                match column {
                    Some(value) => {
                        bytes.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                        bytes.extend(value);
                    }
                    None => bytes.extend(NULL.to_be_bytes()),
                }
            }
        }
        bytes.extend(TRAILER.to_be_bytes());
        bytes
    }

    fn read<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Owned>, Trouble> {
        let (mut copied, mut read) = (CopiedRows::new(Position(7)), Vec::new());
        for message in messages {
            copied.take(message, |columns| {
                read.push(columns.iter().map(|column| column.map(<[u8]>::to_vec)).collect());
                Ok(())
            })?;
        }
        copied.end().map(|()| read)
    }

    fn is_refused(outcome: &Result<Vec<Owned>, Trouble>) -> bool {
        let at = Position(7);
        matches!(outcome, Err(Trouble::Corrupt(LogError::Corrupt { position, .. })) if *position == at)
    }

    #[test]
    fn rows_come_whole_wherever_the_messages_are_parted() {
        let bytes = copy_of(&rows());
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(read([first, second]).unwrap(), rows(), "parted at {at}");
        }
        assert_eq!(read(bytes.chunks(1)).unwrap(), rows());
        assert_eq!(read([&*copy_of(&[])]).unwrap(), Vec::<Owned>::new());
    }

    #[test]
    fn a_copy_that_ends_too_early_or_too_late_is_refused() {
        let mut bytes = copy_of(&rows());
        for end in 0..bytes.len() {
            assert!(is_refused(&read([&bytes[..end]])), "cut at {end}");
        }
        bytes.push(0);
        assert!(is_refused(&read([&*bytes])));
    }

    #[test]
    fn a_broken_byte_is_refused_or_stays_within_one_value() {
        let bytes = copy_of(&rows());
        for at in 0..bytes.len() {
            for mask in [1, 0x80, 0xff] {
                let mut broken = bytes.clone();
                broken[at] ^= mask;
                for outcome in [read([&*broken]), read(broken.chunks(3))] {
                    match outcome {
                        Ok(read) => assert_eq!(read.len(), rows().len(), "byte {at}"),
                        Err(_) => assert!(is_refused(&outcome), "byte {at}"),
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_that_no_row_has_are_refused_before_anything_is_kept() {
        let header = &copy_of(&[])[..21];
        for length in [i32::MIN, -2, 1 << 30, i32::MAX] {
            let mut bytes = header.to_vec();
            bytes.extend(i16::try_from(COLUMNS).unwrap().to_be_bytes());
            bytes.extend(length.to_be_bytes());
            let mut copied = CopiedRows::new(Position(7));
            assert!(copied.take(&bytes, |_| Ok(())).is_err(), "{length}");
        }
        let mut copied = CopiedRows::new(Position(7));
        let endless = [header, &[0, 13, 0, 0, 0, 1, b'x', 3, 0xff, 0xff, 0xff]].concat();
        copied.take(&endless, |_| Ok(())).unwrap();
        let more = vec![0; 8 << 20];
        let taken = (0..20).take_while(|_| copied.take(&more, |_| Ok(())).is_ok()).count();
        assert!(taken * more.len() <= MAX_BYTES, "{taken} messages were kept");
    }
}
