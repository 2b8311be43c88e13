//! URLs that are typed. No server asks for a user, so none is taken; and a URL that is wrong is not
//! repeated with the password that may be in it.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::{Arg, Command};
use tonic::transport::Uri;

/// Reads a URL; `T` says which it takes, and takes none with a user.
#[derive(Debug, Clone)]
pub struct Url<T>(PhantomData<fn() -> T>);

impl<T> Default for Url<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> TypedValueParser for Url<T>
where
    T: FromStr<Err: Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        match value.to_str() {
            Some(url) if url.parse::<T>().is_err() => {
                T::from_str.parse_ref(command, argument, &without_user(url))
            }
            _ => T::from_str.parse_ref(command, argument, value),
        }
    }
}

/// Whether a URL names a user.
pub fn has_user(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

/// A wrong URL as it may be repeated, and as wrong as before: nothing begins like this.
fn without_user(url: &str) -> OsString {
    match url.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}").into(),
        None => url.into(),
    }
}
