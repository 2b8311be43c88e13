//! Which configs a request is about.

use configapi_domain::{ConfigKey, NamePrefix, Namespace};
use configapi_proto::ApiError;

/// Configs of one namespace or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// None means all.
    namespace: Option<Namespace>,
    names: Names,
}

/// Which names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// Those that begin like this; all, if it is empty.
    Prefix(NamePrefix),
    /// This one.
    One(ConfigKey),
}

impl Selection {
    /// The configs whose names begin with a prefix.
    pub fn prefix(namespace: &str, all_namespaces: bool, prefix: &str) -> Result<Self, ApiError> {
        let namespace = if all_namespaces {
            refuse_namespace(namespace)?;
            None
        } else {
            Some(Namespace::parse(namespace).map_err(invalid)?)
        };
        let names = Names::Prefix(NamePrefix::parse(prefix).map_err(invalid)?);
        Ok(Self { namespace, names })
    }

    /// One config.
    pub fn one(namespace: &str, all_namespaces: bool, name: &str) -> Result<Self, ApiError> {
        if all_namespaces {
            return Err(ApiError::invalid("name", "cannot be combined with all_namespaces"));
        }
        let key = ConfigKey::parse(namespace, name).map_err(invalid)?;
        let namespace = Namespace::parse(namespace).map_err(invalid)?;
        Ok(Self { namespace: Some(namespace), names: Names::One(key) })
    }

    /// Whether a config is meant.
    pub fn matches(&self, key: &ConfigKey) -> bool {
        match &self.names {
            Names::One(one) => one == key,
            Names::Prefix(prefix) => {
                prefix.matches(key.name())
                    && self.namespace().is_none_or(|namespace| namespace == key.namespace())
            }
        }
    }

    /// Whether a config is met by who looks for what is meant: from namespace to namespace others are,
    /// too.
    pub fn is_on_the_way(&self, key: &ConfigKey) -> bool {
        self.namespace.is_none() || self.matches(key)
    }

    /// The namespace; none means all.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref().map(Namespace::as_str)
    }

    /// How the names begin; one config's whole name.
    pub fn name_prefix(&self) -> &str {
        match &self.names {
            Names::Prefix(prefix) => prefix.as_str(),
            Names::One(key) => key.name(),
        }
    }

    /// The one config that is meant, if it is one.
    pub fn key(&self) -> Option<&ConfigKey> {
        match &self.names {
            Names::Prefix(_) => None,
            Names::One(key) => Some(key),
        }
    }
}

fn refuse_namespace(namespace: &str) -> Result<(), ApiError> {
    if namespace.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid("namespace", "must be empty with all_namespaces"))
}

/// A field that breaks the rules of the domain.
pub(crate) fn invalid(error: configapi_domain::Invalid) -> ApiError {
    ApiError::invalid(error.field, error.wants)
}
