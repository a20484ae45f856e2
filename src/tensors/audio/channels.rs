//! What becomes of the channels of a file.

use audio_input::Channel;
use triton_backend::{Error, Input};

use crate::tensors::layout::Layout;
use crate::tensors::parameters::{Parameter, Written};

/// The parameter that says what becomes of a file's channels where its request picks none.
pub(crate) const CHANNELS: Parameter<Channels> = Parameter::new(
    "channels",
    "what becomes of the channels of a file in `AUDIO` where the request picks none: `mix` mixes them, `rows` transcribes each as a \
     row of its own, see [Channels](audio.md#channels)",
)
.default("mix");

/// The most channels that become rows: with more, a file of some kilobytes would be hours again.
pub(super) const MOST_AS_ROWS: usize = 8;

/// What becomes of channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Channels {
    Mix,
    Rows,
}

impl Written for Channels {
    const KIND: &'static str = "`mix` or `rows`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "mix" => Ok(Self::Mix),
            "rows" => Ok(Self::Rows),
            _ => Err("is neither mix nor rows"),
        }
    }
}

/// The channel that each row picks in `input`; none where it is -1.
pub(super) fn picked(
    input: &Input<'_>,
    layout: Layout,
    rows: usize,
) -> Result<Vec<Option<usize>>, Error> {
    let values = input.read::<i32>()?;
    let values = layout.ids(input.name(), input.shape(), &values, rows)?;
    let pick = |(row, value): (usize, i32)| match usize::try_from(value) {
        Ok(channel) => Ok(Some(channel)),
        Err(_) if value == -1 => Ok(None),
        Err(_) => {
            let message = format!(
                "row {row} is {value}, expected a channel, counted from 0, or -1 for all of them"
            );
            Err(Error::input(input.name(), message))
        }
    };
    values.into_iter().enumerate().map(pick).collect()
}

/// What decoding is to make of a channel that is picked, or of all of them.
pub(super) fn one(picked: Option<usize>) -> Channel {
    picked.map_or(Channel::Mix, Channel::Only)
}
