//! The steps of ensembles, one file each.

pub(crate) mod cif_search;
pub(crate) mod ctc_scoring;
pub(crate) mod decoded;
pub(crate) mod feature_extractor;
pub(crate) mod found;
pub(crate) mod hotword_embedding;
pub(crate) mod hotwords;
pub(crate) mod itn;
pub(crate) mod lfr_cmvn_pe;
pub(crate) mod online_feature_extractor;
pub(crate) mod paraformer_scoring;
pub(crate) mod scoring;
pub(crate) mod stream_clock;
