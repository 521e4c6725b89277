//! What a template may name: the fields of an order, their kinds and how long they can get.

use super::limits::Bounds;

/// What kind of value a placeholder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Word,
    /// A number, whole or with decimals.
    Number,
    /// A list of whole numbers.
    List,
    /// Raw bytes.
    Bytes,
}

impl Kind {
    /// Names the kind for a message.
    pub fn word(self) -> &'static str {
        match self {
            Self::Word => "a text",
            Self::Number => "a number",
            Self::List => "a list of numbers",
            Self::Bytes => "raw bytes",
        }
    }
}

/// What the gateway asks of a foreign device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Shows a page as text.
    ShowText,
    /// Shows a page as pixels.
    ShowFrame,
    /// Plays a clip.
    PlayClip,
    /// Ends what plays or shows.
    Stop,
    /// What follows every end of a play: the amplifier off.
    After,
    /// Empties the board.
    Clear,
    /// Sets the volume.
    Volume,
    /// Sets the brightness.
    Brightness,
    /// Asks how it is.
    Probe,
}

impl Verb {
    /// All of them, by the name profiles use.
    pub const ALL: [(&'static str, Self); 9] = [
        ("show_text", Self::ShowText),
        ("show_frame", Self::ShowFrame),
        ("play_clip", Self::PlayClip),
        ("stop", Self::Stop),
        ("after", Self::After),
        ("clear", Self::Clear),
        ("volume", Self::Volume),
        ("brightness", Self::Brightness),
        ("probe", Self::Probe),
    ];

    /// Returns the name that profiles use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, verb)| *verb == self).map_or("", |(name, _)| name)
    }

    /// Says whether a device that hears the message again much later does no harm: only such a
    /// message may be retained. A retained play sounds at every reconnection.
    pub fn is_state(self) -> bool {
        matches!(self, Self::ShowText | Self::ShowFrame | Self::Volume | Self::Brightness)
    }
}

/// A value of the order at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Text,
    Url,
    File,
    Slot,
    Sha256,
    Item,
    Id,
    Volume,
    Brightness,
    LengthMs,
    LengthS,
    DwellMs,
    DwellS,
    Colour,
    Width,
    Height,
    Pixels,
    Pixels565,
    Rgb,
}

/// Longest value of a setting of one device, in bytes.
pub const SETTING_BYTES: usize = 128;
/// Longest address of a clip.
pub const URL_BYTES: usize = 512;
/// Longest path of a clip on the device.
pub const FILE_BYTES: usize = 128;
/// Longest name of a place on the device.
pub const SLOT_BYTES: usize = 32;

impl Field {
    /// All fields with their names.
    pub const ALL: [(&'static str, Self); 19] = [
        ("text", Self::Text),
        ("url", Self::Url),
        ("file", Self::File),
        ("slot", Self::Slot),
        ("sha256", Self::Sha256),
        ("item", Self::Item),
        ("id", Self::Id),
        ("volume", Self::Volume),
        ("brightness", Self::Brightness),
        ("length_ms", Self::LengthMs),
        ("length_s", Self::LengthS),
        ("dwell_ms", Self::DwellMs),
        ("dwell_s", Self::DwellS),
        ("colour", Self::Colour),
        ("width", Self::Width),
        ("height", Self::Height),
        ("pixels", Self::Pixels),
        ("pixels565", Self::Pixels565),
        ("rgb", Self::Rgb),
    ];

    /// Finds a field by name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, field)| *field == self).map_or("", |(name, _)| name)
    }

    /// Returns its kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Text
            | Self::Url
            | Self::File
            | Self::Slot
            | Self::Sha256
            | Self::Item
            | Self::Colour => Kind::Word,
            Self::Pixels | Self::Pixels565 => Kind::List,
            Self::Rgb => Kind::Bytes,
            _ => Kind::Number,
        }
    }

    /// Says whether it tells one item from all others, so that an answer that repeats it speaks
    /// of our item and of no other.
    pub fn names_item(self) -> bool {
        matches!(
            self,
            Self::Text | Self::Url | Self::File | Self::Slot | Self::Sha256 | Self::Item | Self::Id
        )
    }

    /// Most bytes of its value before escaping.
    pub fn most(self, bounds: &Bounds) -> usize {
        match self {
            Self::Text => bounds.text_bytes,
            Self::Url => URL_BYTES,
            Self::File => FILE_BYTES,
            Self::Slot => SLOT_BYTES,
            Self::Sha256 => 64,
            Self::Item => 12,
            Self::Id | Self::LengthMs | Self::DwellMs => 10,
            Self::LengthS | Self::DwellS => 7,
            Self::Volume | Self::Brightness => 3,
            Self::Colour => 16,
            Self::Width | Self::Height => 4,
            // `16777215,` for each pixel, and the brackets.
            Self::Pixels => bounds.pixels.saturating_mul(9).saturating_add(2),
            Self::Pixels565 => bounds.pixels.saturating_mul(6).saturating_add(2),
            Self::Rgb => bounds.pixels.saturating_mul(3),
        }
    }

    /// Says whether orders of that kind have the field.
    pub fn stands_in(self, scope: Scope) -> bool {
        use Field as F;
        match scope {
            Scope::Settings => false,
            Scope::Topic => matches!(self, F::Slot | F::Item),
            Scope::Clip => matches!(self, F::Sha256 | F::Item),
            Scope::Event => self.names_item() && self != F::Id,
            Scope::Verb(Verb::ShowText) => matches!(
                self,
                F::Text
                    | F::Item
                    | F::Id
                    | F::DwellMs
                    | F::DwellS
                    | F::Colour
                    | F::Width
                    | F::Height
            ),
            Scope::Verb(Verb::ShowFrame) => matches!(
                self,
                F::Item
                    | F::Id
                    | F::DwellMs
                    | F::DwellS
                    | F::Width
                    | F::Height
                    | F::Pixels
                    | F::Pixels565
                    | F::Rgb
            ),
            Scope::Verb(Verb::PlayClip) => matches!(
                self,
                F::Url
                    | F::File
                    | F::Slot
                    | F::Sha256
                    | F::Item
                    | F::Id
                    | F::Volume
                    | F::LengthMs
                    | F::LengthS
            ),
            // What every play has, so that a message that ends one can always be made.
            Scope::Verb(Verb::Stop | Verb::After) => matches!(self, F::Item | F::Sha256 | F::Id),
            Scope::Verb(Verb::Volume) => matches!(self, F::Volume | F::Id),
            Scope::Verb(Verb::Brightness) => matches!(self, F::Brightness | F::Id),
            Scope::Verb(Verb::Clear | Verb::Probe) => self == F::Id,
        }
    }
}

/// Where a template stands: what it may name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Settings of the device and nothing else: topics, addresses.
    Settings,
    /// A topic, which may also name the clip's place or the item.
    Topic,
    /// The path of a clip on the device.
    Clip,
    /// What an event is compared with.
    Event,
    /// A step of an action.
    Verb(Verb),
}

impl Scope {
    /// Names it for a message.
    pub fn word(self) -> &'static str {
        match self {
            Self::Settings => "an address",
            Self::Topic => "a topic",
            Self::Clip => "the path of a clip",
            Self::Event => "an event",
            Self::Verb(verb) => verb.name(),
        }
    }
}
