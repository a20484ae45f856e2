//! Speech features: Kaldi fbank, LFR and CMVN.
