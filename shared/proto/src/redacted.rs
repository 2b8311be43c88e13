//! How wire types that hold values look in logs: the length of a value, never the value itself.

use std::fmt;

use crate::v1::{
    Config, ConfigValueDeleted, ConfigValueRestored, ConfigValueSet, SetAction, SetRequest,
};

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("version", &self.version)
            .field("position", &self.position)
            .field("value_bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SetRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetRequest")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("value_bytes", &self.value.len())
            .field("expected_version", &self.expected_version)
            .field("request_id", &self.request_id)
            .field("validate_only", &self.validate_only)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SetAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetAction")
            .field("value_bytes", &self.value.len())
            .field("content_type", &self.content_type)
            .finish()
    }
}

impl fmt::Debug for ConfigValueSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigValueSet")
            .field("value_bytes", &self.value.len())
            .field("old_value_bytes", &self.old_value.as_ref().map(String::len))
            .field("content_type", &self.content_type)
            .finish()
    }
}

impl fmt::Debug for ConfigValueDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigValueDeleted")
            .field("deleted_value_bytes", &self.deleted_value.len())
            .field("content_type", &self.content_type)
            .finish()
    }
}

impl fmt::Debug for ConfigValueRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigValueRestored")
            .field("value_bytes", &self.value.len())
            .field("old_value_bytes", &self.old_value.as_ref().map(String::len))
            .field("content_type", &self.content_type)
            .field("restored_version", &self.restored_version)
            .finish()
    }
}
