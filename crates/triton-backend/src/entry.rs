//! The nine functions the server calls, generic over the backend. [`export_backend!`](crate::export_backend) gives them
//! their C names.
//!
//! Every one runs under the panic guard, and an error becomes the server's here and nowhere else.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use crate::context::{BackendContext, InstanceContext, Kept, ModelContext};
use crate::error::{Error, check};
use crate::instances::Instances;
use crate::linger::Linger;
use crate::metrics::Families;
use crate::{Backend, Batch, Instance, Model, Watch, cuda, guard, instances, sys};

/// The oldest backend API with everything we call: NGC 22.11's.
const API: (u32, u32) = (1, 10);

struct BackendState<B> {
    backend: B,
    linger: Arc<Linger>,
    /// Dropped last: when the models are gone.
    families: Arc<Families>,
}

struct ModelState<M> {
    /// Before the model: dropped first.
    _kept: Kept,
    model: Arc<M>,
    instances: Arc<Instances>,
    linger: Arc<Linger>,
}

struct InstanceState<I> {
    instance: I,
    instances: Arc<Instances>,
    watch: Option<Arc<dyn Watch>>,
    batches: bool,
    linger: Arc<Linger>,
}

/// The state of an instance of `B`.
type StateOf<B> = InstanceState<<<B as Backend>::Model as Model>::Instance>;

fn enter(body: impl FnOnce() -> Result<(), Error>) -> sys::ErrorPtr {
    match guard(body) {
        Ok(()) => ptr::null_mut(),
        Err(error) => error.into_raw(),
    }
}

/// `TRITONBACKEND_Initialize`.
///
/// # Safety
/// Called by the server with a live backend, once.
pub unsafe fn initialize<B: Backend>(backend: *mut sys::TRITONBACKEND_Backend) -> sys::ErrorPtr {
    enter(|| {
        // SAFETY: a live backend; the state is freed in `finalize`.
        unsafe {
            check_api_version()?;
            check_functions()?;
            let context = BackendContext::new(backend)?;
            context.limit_memory()?;
            let state = Box::new(BackendState {
                backend: B::new(&context)?,
                linger: Arc::new(Linger::new()?),
                families: Families::of_this_library(),
            });
            check(sys::TRITONBACKEND_BackendSetState(
                backend,
                Box::into_raw(state).cast(),
            ))
        }
    })
}

fn check_api_version() -> Result<(), Error> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: valid out pointers.
    unsafe { check(sys::TRITONBACKEND_ApiVersion(&mut major, &mut minor))? };
    if major == API.0 && minor >= API.1 {
        return Ok(());
    }
    Err(Error::new(
        crate::ErrorCode::Unsupported,
        format!(
            "this server has backend API {major}.{minor}; this backend needs {}.{} or a later {}.x (Triton 2.28, release 22.11, and newer)",
            API.0, API.1, API.0
        ),
    ))
}

/// A server of the right version has all functions, unless it was built without some.
fn check_functions() -> Result<(), Error> {
    let missing = sys::missing();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        crate::ErrorCode::Unsupported,
        format!(
            "this server has no {}, which this backend calls; load it in a tritonserver of NVIDIA's, 2.28 (release 22.11) or newer",
            missing.join(", ")
        ),
    ))
}

/// `TRITONBACKEND_Finalize`.
///
/// # Safety
/// Called by the server after [`initialize`], once, when no model is left.
pub unsafe fn finalize<B: Backend>(backend: *mut sys::TRITONBACKEND_Backend) -> sys::ErrorPtr {
    enter(|| {
        // SAFETY: the state is null or what `initialize` stored.
        unsafe {
            let state = state(|state| sys::TRITONBACKEND_BackendState(backend, state))?;
            drop_state::<BackendState<B>>(state);
            cuda::release_idle();
            check(sys::TRITONBACKEND_BackendSetState(backend, ptr::null_mut()))
        }
    })
}

/// `TRITONBACKEND_GetBackendAttribute`.
///
/// # Safety
/// Called by the server with a live attribute.
pub unsafe fn attribute<B: Backend>(
    attribute: *mut sys::TRITONBACKEND_BackendAttribute,
) -> sys::ErrorPtr {
    enter(|| match B::PREFERRED_KIND {
        // SAFETY: a live attribute; no device ids are passed.
        Some(kind) => unsafe {
            check(
                sys::TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(
                    attribute,
                    kind.to_raw(),
                    0,
                    ptr::null(),
                    0,
                ),
            )
        },
        None => Ok(()),
    })
}

/// `TRITONBACKEND_ModelInitialize`.
///
/// # Safety
/// Called by the server with a live model of this backend, once.
pub unsafe fn model_initialize<B: Backend>(model: *mut sys::TRITONBACKEND_Model) -> sys::ErrorPtr {
    enter(|| {
        let mut backend = ptr::null_mut();
        let mut auto_complete = false;
        // SAFETY: a live model; the backend's state is what `initialize` stored; the state set here is freed in
        // `model_finalize`.
        unsafe {
            check(sys::TRITONBACKEND_ModelBackend(model, &mut backend))?;
            let state = state(|state| sys::TRITONBACKEND_BackendState(backend, state))?;
            let BackendState {
                backend,
                linger,
                families,
            } = &*state.cast::<BackendState<B>>();
            check(sys::TRITONBACKEND_ModelAutoCompleteConfig(
                model,
                &mut auto_complete,
            ))?;
            let mut context = ModelContext::new(model, families)?;
            if auto_complete && let Some(config) = B::Model::complete_config(backend, &context)? {
                set_config(model, &config)?;
                context = ModelContext::new(model, families)?;
            }
            let made = Arc::new(B::Model::new(backend, &context)?);
            let state = Box::new(ModelState {
                _kept: context.take_kept(),
                model: made,
                instances: Arc::default(),
                linger: Arc::clone(linger),
            });
            check(sys::TRITONBACKEND_ModelSetState(
                model,
                Box::into_raw(state).cast(),
            ))
        }
    })
}

/// # Safety
/// `model` is live and being initialised.
unsafe fn set_config(
    model: *mut sys::TRITONBACKEND_Model,
    config: &serde_json::Value,
) -> Result<(), Error> {
    let json = config.to_string();
    let mut message = ptr::null_mut();
    // SAFETY: the server copies the text; the message is ours to delete.
    unsafe {
        check(sys::TRITONSERVER_MessageNewFromSerializedJson(
            &mut message,
            json.as_ptr().cast::<c_char>(),
            json.len(),
        ))?;
        let set = check(sys::TRITONBACKEND_ModelSetConfig(model, 1, message));
        check(sys::TRITONSERVER_MessageDelete(message))?;
        set
    }
}

/// `TRITONBACKEND_ModelFinalize`.
///
/// # Safety
/// Called by the server, once, when the model's instances are gone.
pub unsafe fn model_finalize<B: Backend>(model: *mut sys::TRITONBACKEND_Model) -> sys::ErrorPtr {
    enter(|| {
        // SAFETY: the state is null or what `model_initialize` stored.
        unsafe {
            let state = state(|state| sys::TRITONBACKEND_ModelState(model, state))?;
            drop_state::<ModelState<B::Model>>(state);
            check(sys::TRITONBACKEND_ModelSetState(model, ptr::null_mut()))
        }
    })
}

/// `TRITONBACKEND_ModelInstanceInitialize`.
///
/// # Safety
/// Called by the server with a live instance of a model of this backend, once.
pub unsafe fn instance_initialize<B: Backend>(
    instance: *mut sys::TRITONBACKEND_ModelInstance,
) -> sys::ErrorPtr {
    enter(|| {
        let mut model = ptr::null_mut();
        // SAFETY: a live instance; its model's state is what `model_initialize` stored; the state set here is freed in
        // `instance_finalize`.
        unsafe {
            check(sys::TRITONBACKEND_ModelInstanceModel(instance, &mut model))?;
            let state = state(|state| sys::TRITONBACKEND_ModelState(model, state))?;
            let of_model = &*state.cast::<ModelState<B::Model>>();
            let batches = ModelContext::new(model, &Arc::default())?.config.batches();
            let context = InstanceContext::new(instance)?;
            let made = <B::Model as Model>::Instance::new(&of_model.model, &context)?;
            let state = Box::new(InstanceState {
                instance: made,
                instances: Arc::clone(&of_model.instances),
                watch: of_model.model.watch(),
                batches,
                linger: Arc::clone(&of_model.linger),
            });
            check(sys::TRITONBACKEND_ModelInstanceSetState(
                instance,
                Box::into_raw(state).cast(),
            ))?;
            of_model.instances.add(instances::Instance::new(instance));
            Ok(())
        }
    })
}

/// `TRITONBACKEND_ModelInstanceFinalize`.
///
/// # Safety
/// Called by the server, once, when the instance executes nothing any more. Requests that were handed to it may be open.
pub unsafe fn instance_finalize<B: Backend>(
    instance: *mut sys::TRITONBACKEND_ModelInstance,
) -> sys::ErrorPtr {
    enter(|| {
        // SAFETY: the state is null or what `instance_initialize` stored.
        unsafe {
            let state = state(|state| sys::TRITONBACKEND_ModelInstanceState(instance, state))?;
            if let Some(state) = state.cast::<StateOf<B>>().as_ref() {
                // Requests of this instance may be answered after it is gone; they must not touch it then.
                state.instances.remove(instances::Instance::new(instance));
            }
            drop_state::<StateOf<B>>(state);
            check(sys::TRITONBACKEND_ModelInstanceSetState(
                instance,
                ptr::null_mut(),
            ))
        }
    })
}

/// `TRITONBACKEND_ModelInstanceExecute`.
///
/// Returns null in every case but one (an instance without state, which the server does not execute): an error returned
/// here would mean that the requests still belong to the server.
///
/// # Safety
/// Called by the server with an initialised instance, from one thread at a time, and `count` requests that it hands over.
pub unsafe fn execute<B: Backend>(
    instance: *mut sys::TRITONBACKEND_ModelInstance,
    requests: *mut *mut sys::TRITONBACKEND_Request,
    count: u32,
) -> sys::ErrorPtr {
    // SAFETY: the state is what `instance_initialize` stored.
    let state =
        match unsafe { state(|state| sys::TRITONBACKEND_ModelInstanceState(instance, state)) } {
            Ok(state) if !state.is_null() => state.cast::<StateOf<B>>(),
            Ok(_) => return Error::internal("the instance is not initialised").into_raw(),
            Err(error) => return error.into_raw(),
        };
    let outcome = guard(|| {
        // SAFETY: one thread at a time per instance, so the state is ours until we return; the requests are handed over.
        unsafe {
            let state = &mut *state;
            let batch = Batch::take(
                instances::Instance::new(instance),
                Arc::clone(&state.instances),
                state.watch.clone(),
                requests,
                count,
                state.batches,
            );
            let _until_we_are_back = state.linger.keep_model(batch.requests());
            state.instance.execute(batch);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        crate::error!(
            "execution ended early, its open requests were answered with an error: {error}"
        );
    }
    ptr::null_mut()
}

/// `TRITONBACKEND_ModelInstanceReady`, which servers from December 2025 on ask: whether clients can be told that the
/// model is ready, and if not, why.
///
/// # Safety
/// Called by the server with an initialised instance, from any thread, also while the instance executes.
pub unsafe fn instance_ready<B: Backend>(
    instance: *mut sys::TRITONBACKEND_ModelInstance,
) -> sys::ErrorPtr {
    enter(|| {
        let mut model = ptr::null_mut();
        // SAFETY: a live instance, whose model's state is what `model_initialize` stored, and is only read by all. The instance's own
        // state is not touched: it may be `execute`'s.
        unsafe {
            check(sys::TRITONBACKEND_ModelInstanceModel(instance, &mut model))?;
            let state = state(|state| sys::TRITONBACKEND_ModelState(model, state))?;
            match state.cast::<ModelState<B::Model>>().as_ref() {
                Some(state) => state.model.ready(),
                None => Err(Error::internal("the model is not initialised")),
            }
        }
    })
}

/// # Safety
/// `get` stores a state pointer.
unsafe fn state(get: impl FnOnce(*mut *mut c_void) -> sys::ErrorPtr) -> Result<*mut c_void, Error> {
    let mut state = ptr::null_mut();
    // SAFETY: `get` returns null or an error that is ours.
    unsafe { check(get(&mut state))? };
    Ok(state)
}

/// # Safety
/// `state` is null or a `Box<S>` turned raw, and not used after this.
unsafe fn drop_state<S>(state: *mut c_void) {
    if !state.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(state.cast::<S>()) });
    }
}

/// Exports the nine functions of Triton's backend API for a [`Backend`].
///
/// Goes once into the `cdylib` that the server loads.
#[macro_export]
macro_rules! export_backend {
    ($backend:ty) => {
        const _: () = {
            use $crate::{entry, sys};

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_Initialize(
                backend: *mut sys::TRITONBACKEND_Backend,
            ) -> sys::ErrorPtr {
                // SAFETY: the server keeps the contract of its API.
                unsafe { entry::initialize::<$backend>(backend) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_Finalize(
                backend: *mut sys::TRITONBACKEND_Backend,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::finalize::<$backend>(backend) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_GetBackendAttribute(
                _backend: *mut sys::TRITONBACKEND_Backend,
                attribute: *mut sys::TRITONBACKEND_BackendAttribute,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::attribute::<$backend>(attribute) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_ModelInitialize(
                model: *mut sys::TRITONBACKEND_Model,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::model_initialize::<$backend>(model) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_ModelFinalize(
                model: *mut sys::TRITONBACKEND_Model,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::model_finalize::<$backend>(model) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_ModelInstanceInitialize(
                instance: *mut sys::TRITONBACKEND_ModelInstance,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::instance_initialize::<$backend>(instance) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_ModelInstanceFinalize(
                instance: *mut sys::TRITONBACKEND_ModelInstance,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::instance_finalize::<$backend>(instance) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_ModelInstanceExecute(
                instance: *mut sys::TRITONBACKEND_ModelInstance,
                requests: *mut *mut sys::TRITONBACKEND_Request,
                count: u32,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::execute::<$backend>(instance, requests, count) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn TRITONBACKEND_ModelInstanceReady(
                instance: *mut sys::TRITONBACKEND_ModelInstance,
            ) -> sys::ErrorPtr {
                // SAFETY: as above.
                unsafe { entry::instance_ready::<$backend>(instance) }
            }
        };
    };
}
