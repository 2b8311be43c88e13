//! A config as the cache keeps it. The value of a config has a place of its own, in which the next one is
//! written over it: texts that come with requests live shortly, and if each took the place of an old
//! value, they would come to lie anywhere in the memory of a million configs.

use configapi_domain::{ConfigValue, Content, ContentType, State, Value, Version};

/// The largest value that has a place of its own. Larger ones are shared, for to copy them takes long.
const MAX_OWN_BYTES: usize = 4 << 10;
/// So much of its place a value may leave empty.
const MAX_SPARE_BYTES: usize = 256;

/// An aggregate that may be replaced by a newer one.
#[derive(Debug)]
pub(super) struct Kept {
    version: Version,
    life: Life,
    value: Text,
    content_type: Option<ContentType>,
}

#[derive(Debug, Clone, Copy)]
enum Life {
    Unborn,
    Live,
    Deleted,
}

enum Text {
    Own(String),
    Shared(Value),
}

/// Tells the length only, so that a value cannot slip into a log.
impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.bytes())
    }
}

impl Kept {
    pub fn new(config: &ConfigValue) -> Self {
        let mut kept = Self {
            version: Version::NONE,
            life: Life::Unborn,
            value: Text::Own(String::new()),
            content_type: None,
        };
        kept.replace(config);
        kept
    }

    /// Keeps this one instead.
    pub fn replace(&mut self, config: &ConfigValue) {
        self.version = config.version;
        match &config.state {
            State::Unborn => self.life = Life::Unborn,
            State::Live(content) => self.hold(Life::Live, content),
            State::Deleted(content) => self.hold(Life::Deleted, content),
        }
    }

    fn hold(&mut self, life: Life, content: &Content) {
        self.life = life;
        self.value.replace(&content.value);
        if self.content_type != content.content_type {
            self.content_type.clone_from(&content.content_type);
        }
    }

    /// The aggregate.
    pub fn get(&self) -> Option<ConfigValue> {
        let state = match self.life {
            Life::Unborn => State::Unborn,
            Life::Live => State::Live(self.content()?),
            Life::Deleted => State::Deleted(self.content()?),
        };
        Some(ConfigValue { version: self.version, state })
    }

    /// None would be a value that is none any more; whoever needs it looks it up.
    fn content(&self) -> Option<Content> {
        let value = match &self.value {
            Text::Own(text) => Value::parse(text.as_str()).ok()?,
            Text::Shared(value) => value.clone(),
        };
        Some(Content { value, content_type: self.content_type.clone() })
    }

    /// How much its texts weigh that differ from config to config.
    pub fn text_bytes(&self) -> usize {
        self.value.bytes() + self.content_type.as_ref().map_or(0, |kind| kind.as_str().len())
    }
}

impl Text {
    fn replace(&mut self, value: &Value) {
        let text = value.as_str();
        match self {
            _ if text.len() > MAX_OWN_BYTES => *self = Self::Shared(value.clone()),
            Self::Own(place)
                if (text.len()..=text.len() + MAX_SPARE_BYTES).contains(&place.capacity()) =>
            {
                place.clear();
                place.push_str(text);
            }
            Self::Own(_) | Self::Shared(_) => *self = Self::Own(text.to_owned()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Own(place) => place.capacity(),
            Self::Shared(value) => value.as_str().len(),
        }
    }
}
