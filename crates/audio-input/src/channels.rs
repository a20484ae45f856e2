//! Many channels to one.

use crate::error::AudioError;

/// What becomes of several channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// Their mean.
    #[default]
    Mix,
    /// One of them, counted from 0.
    Only(usize),
}

impl Channel {
    /// Checks that audio of so many channels has the wanted one.
    pub(crate) fn check(self, channels: usize) -> Result<(), AudioError> {
        match self {
            Self::Only(wanted) if wanted >= channels => {
                Err(AudioError::NoChannel { wanted, channels })
            }
            _ => Ok(()),
        }
    }

    /// Puts one sample for each frame of `interleaved` `[frames, channels]` into `mono`, which it empties first.
    pub(crate) fn reduce(self, interleaved: &[f32], channels: usize, mono: &mut Vec<f32>) {
        mono.clear();
        let frames = interleaved.chunks_exact(channels.max(1));
        match self {
            Self::Only(wanted) => mono.extend(frames.filter_map(|frame| frame.get(wanted))),
            // Two halves of an f32 add up exactly, so equal channels mix to themselves.
            Self::Mix if channels == 2 => {
                mono.extend(frames.map(|frame| 0.5 * frame[0] + 0.5 * frame[1]))
            }
            Self::Mix => {
                let share = 1.0 / channels as f64;
                let mean = |frame: &[f32]| {
                    let sum: f64 = frame.iter().map(|&sample| f64::from(sample)).sum();
                    (sum * share) as f32
                };
                mono.extend(frames.map(mean));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(channel: Channel, samples: &[f32], channels: usize) -> Vec<f32> {
        let mut mono = vec![9.0];
        channel.reduce(samples, channels, &mut mono);
        mono
    }

    #[test]
    fn channels_are_mixed_or_one_is_picked() {
        let stereo = [0.5, -0.25, 1.0, 1.0, 0.3, 0.3];
        assert_eq!(reduced(Channel::Mix, &stereo, 2), [0.125, 1.0, 0.3]);
        assert_eq!(reduced(Channel::Only(0), &stereo, 2), [0.5, 1.0, 0.3]);
        assert_eq!(reduced(Channel::Only(1), &stereo, 2), [-0.25, 1.0, 0.3]);
        assert_eq!(
            reduced(Channel::Mix, &stereo, 3),
            [0.416_666_66, 0.533_333_36]
        );
    }

    #[test]
    fn a_channel_that_is_not_there_is_named() {
        assert_eq!(Channel::Only(1).check(2), Ok(()));
        let words = |wanted, channels| {
            Channel::Only(wanted)
                .check(channels)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            words(2, 2),
            "channel 2 is wanted, but the audio has 2, counted from 0"
        );
        assert_eq!(
            words(1, 1),
            "channel 1 is wanted, but the audio has one channel, number 0"
        );
    }
}
