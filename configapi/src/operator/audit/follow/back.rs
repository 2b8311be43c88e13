//! Going back along the log: to what was delivered and still holds.

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Epoch, Lineage, PageLimit, Tail};

use super::super::earlier::Earlier;
use super::super::place::Place;
use super::super::trouble::Trouble;
use super::Follower;

impl Follower {
    /// The newest event that was delivered, is older than the epochs that the log has entered since, and
    /// is in the log as it is now. Those epochs may have begun later than the log lost its end: then
    /// others were written meanwhile at positions before them, and none of these was delivered. Answers
    /// when it was recorded, too. Asks the store anew for its epochs.
    pub(super) async fn newest_held(
        &self,
        place: &mut Place,
    ) -> Result<(Tail, Timestamp), Trouble> {
        let identity = self.ask(self.log.identity()).await?;
        self.learn(place, identity)?;
        let current = place.lineage.current();
        if current == place.epoch {
            return Err(elsewhere(current));
        }
        self.must_hold_its_end(&place.lineage).await?;
        let genesis = self.genesis(place.writing.log_id).await?;
        let kept = place.lineage.kept_of(place.epoch, place.tail.position());
        for tail in place.delivered_until(kept) {
            let (epoch, row) = self.row_at(tail.position()).await?;
            // Behind one address there may be several standbys, and this one may lack what others have.
            if epoch != current {
                return Err(elsewhere(epoch));
            }
            if let Some(row) = row.filter(|(found, _)| found == tail) {
                return Ok(row);
            }
        }
        Ok(genesis)
    }

    /// Finds events before one that was delivered, for those who know of none or had to go back: as long
    /// as the log holds that one, those before it are the ones that were delivered. Answers none if it does
    /// not, or is in another epoch than this.
    pub(super) async fn look_back(&self, from: &Tail, epoch: Epoch) -> Result<Earlier, Trouble> {
        let last = from.position();
        let is_held = |(found_in, row): (Epoch, Option<(Tail, Timestamp)>)| {
            found_in == epoch && row.is_some_and(|(found, _)| found == *from)
        };
        if last == Position::GENESIS || !is_held(self.row_at(last).await?) {
            return Ok(Earlier::default());
        }
        let mut found = vec![self.row_at(Position::GENESIS).await?.1];
        let doublings = u64::BITS - last.0.leading_zeros();
        for back in (0..doublings).rev().map(|doublings| 1 << doublings) {
            if back < last.0 {
                found.push(self.row_at(Position(last.0 - back)).await?.1);
            }
        }
        // What was read in between is of the same log only if that was not restored meanwhile.
        let is_same = is_held(self.row_at(last).await?);
        let found = found.into_iter().flatten().map(|(place, _)| place).collect();
        Ok(Earlier::before(last, found).filter(|_| is_same).unwrap_or_default())
    }

    /// The epoch that the log is in, and, if there is an event at a position, the place after it and when
    /// it was recorded.
    async fn row_at(
        &self,
        position: Position,
    ) -> Result<(Epoch, Option<(Tail, Timestamp)>), Trouble> {
        let page = self.ask(self.log.read(position, PageLimit::new(1, 1))).await?;
        let row = page.events.first().filter(|row| row.position == position);
        let row = row.map(|row| (Tail::after(row.position, row.hash), row.recorded_at));
        Ok((page.epoch, row))
    }

    /// That the log is there up to where its epoch began.
    pub(super) async fn must_hold_its_end(&self, lineage: &Lineage) -> Result<(), Trouble> {
        let head = self.ask(self.log.head()).await?.position;
        let Some(last) = lineage.lost_by(head) else { return Ok(()) };
        let epoch = lineage.current();
        Err(Trouble::Silent(format!(
            "the log ends at position {head}, and its epoch {epoch} began after position {last}: a \
             restore is under way, or was interrupted, or the end of the log is lost"
        )))
    }
}

/// Another server answered, or the log is in another epoch by now.
fn elsewhere(epoch: Epoch) -> Trouble {
    Trouble::Silent(format!("the store answers in epoch {epoch}, and in another one a moment ago"))
}
