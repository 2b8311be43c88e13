//! Failpoints of a build that has none: passing one is nothing at all.

use std::env;
use std::future::{Ready, ready};

use super::{Failpoint, Injected, VARIABLE, WrongFailpoints};

impl Failpoint {
    /// Passes the place.
    #[inline]
    pub fn pass(self) -> Ready<Result<(), Injected>> {
        ready(Ok(()))
    }

    /// Passes the place where nothing can be awaited.
    #[inline]
    pub fn pass_blocking(self) -> Result<(), Injected> {
        Ok(())
    }
}

/// Refuses to arm any.
pub fn arm(_known: &[Failpoint]) -> Result<(), WrongFailpoints> {
    match env::var_os(VARIABLE) {
        None => Ok(()),
        Some(_) => Err(WrongFailpoints("this program was built without failpoints".to_owned())),
    }
}
