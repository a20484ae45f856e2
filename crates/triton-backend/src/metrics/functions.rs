//! The server's functions for metrics, looked up in the process: of the oldest servers some are missing, and a program that is no server has
//! none of them.

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use crate::symbols::find;
use crate::sys::{
    ErrorPtr, TRITONSERVER_Metric, TRITONSERVER_MetricArgs, TRITONSERVER_MetricFamily,
    TRITONSERVER_Parameter,
};

type OnFamily = unsafe extern "C" fn(*mut TRITONSERVER_MetricFamily) -> ErrorPtr;
type OnMetric = unsafe extern "C" fn(*mut TRITONSERVER_Metric) -> ErrorPtr;
type WithValue = unsafe extern "C" fn(*mut TRITONSERVER_Metric, f64) -> ErrorPtr;
type Labels = *const *const TRITONSERVER_Parameter;

/// Those that a server with metrics has.
pub(super) struct Functions {
    pub(super) family_new: unsafe extern "C" fn(
        *mut *mut TRITONSERVER_MetricFamily,
        c_int,
        *const c_char,
        *const c_char,
    ) -> ErrorPtr,
    pub(super) family_delete: OnFamily,
    pub(super) metric_new: unsafe extern "C" fn(
        *mut *mut TRITONSERVER_Metric,
        *mut TRITONSERVER_MetricFamily,
        Labels,
        u64,
    ) -> ErrorPtr,
    pub(super) metric_delete: OnMetric,
    pub(super) metric_increment: WithValue,
    pub(super) parameter_new:
        unsafe extern "C" fn(*const c_char, c_int, *const c_void) -> *mut TRITONSERVER_Parameter,
    pub(super) parameter_delete: unsafe extern "C" fn(*mut TRITONSERVER_Parameter),
    error_delete: unsafe extern "C" fn(ErrorPtr),
    /// Older servers have none; seen on Triton 2.51.
    pub(super) histograms: Option<HistogramFunctions>,
}

/// Those that a server with histograms has.
pub(super) struct HistogramFunctions {
    pub(super) args_new: unsafe extern "C" fn(*mut *mut TRITONSERVER_MetricArgs) -> ErrorPtr,
    pub(super) args_set:
        unsafe extern "C" fn(*mut TRITONSERVER_MetricArgs, *const f64, u64) -> ErrorPtr,
    pub(super) args_delete: unsafe extern "C" fn(*mut TRITONSERVER_MetricArgs) -> ErrorPtr,
    pub(super) metric_new: unsafe extern "C" fn(
        *mut *mut TRITONSERVER_Metric,
        *mut TRITONSERVER_MetricFamily,
        Labels,
        u64,
        *const TRITONSERVER_MetricArgs,
    ) -> ErrorPtr,
    pub(super) observe: WithValue,
}

impl Functions {
    /// None if this server has no metrics.
    pub(super) fn found() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Functions>> = OnceLock::new();
        FOUND.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        // SAFETY: the signatures of tritonserver.h.
        unsafe {
            Some(Self {
                family_new: find("TRITONSERVER_MetricFamilyNew")?,
                family_delete: find("TRITONSERVER_MetricFamilyDelete")?,
                metric_new: find("TRITONSERVER_MetricNew")?,
                metric_delete: find("TRITONSERVER_MetricDelete")?,
                metric_increment: find("TRITONSERVER_MetricIncrement")?,
                parameter_new: find("TRITONSERVER_ParameterNew")?,
                parameter_delete: find("TRITONSERVER_ParameterDelete")?,
                error_delete: find("TRITONSERVER_ErrorDelete")?,
                histograms: HistogramFunctions::find(),
            })
        }
    }

    /// Frees an error that is nobody's: an event that was not counted is no request's fault.
    ///
    /// # Safety
    /// `error` is null or an error that the caller owns.
    pub(super) unsafe fn ignore(&self, error: ErrorPtr) {
        if !error.is_null() {
            // SAFETY: not null, the caller's, and not used after this.
            unsafe { (self.error_delete)(error) };
        }
    }
}

impl HistogramFunctions {
    fn find() -> Option<Self> {
        // SAFETY: the signatures of tritonserver.h.
        unsafe {
            Some(Self {
                args_new: find("TRITONSERVER_MetricArgsNew")?,
                args_set: find("TRITONSERVER_MetricArgsSetHistogram")?,
                args_delete: find("TRITONSERVER_MetricArgsDelete")?,
                metric_new: find("TRITONSERVER_MetricNewWithArgs")?,
                observe: find("TRITONSERVER_MetricObserve")?,
            })
        }
    }
}
