//! `libtriton_funasr.so`.
