//! Switches off two features with which WebKitGTK reaches out for a page whatever its content security policy says:
//! `<link rel="dns-prefetch">` looks a name up, and `<link rel="preconnect">` connects. A name can carry data.

use std::ffi::{CStr, c_char, c_int, c_void};

use tauri::{Runtime, Webview};
use webkit2gtk::WebViewExt;
use webkit2gtk::glib::object::ObjectType;

/// The names of the features, in WebKitGTK 2.42 and newer.
const FEATURES: [&CStr; 2] = [c"LinkDNSPrefetch", c"LinkPreconnect"];

/// Switches them off for one page. Older versions of WebKitGTK keep them.
pub(crate) fn switch_off<R: Runtime>(webview: &Webview<R>) {
    let label = webview.label().to_owned();
    let done = webview.with_webview(move |platform| {
        let Some(settings) = WebViewExt::settings(&platform.inner()) else {
            return;
        };
        if !set_features(settings.as_ptr().cast(), &FEATURES, false) {
            tracing::debug!(
                window = label,
                "this WebKitGTK cannot switch off that pages look names up"
            );
        }
    });
    if let Err(problem) = done {
        tracing::debug!(%problem, "a page keeps features of WebKitGTK");
    }
}

/// Returns whether this WebKitGTK has all of them.
#[allow(
    unsafe_code,
    reason = "these functions are newer than the oldest WebKitGTK that Tauri runs on, and no crate has them"
)]
fn set_features(settings: *mut c_void, names: &[&CStr], enabled: bool) -> bool {
    // SAFETY: the types are those of WebKitFeature.h, and `settings` is a WebKitSettings that its owner keeps alive. Called
    // on the main thread, as all of GTK. Each pointer is used only while the list that it comes from is held.
    unsafe {
        let (Some(all), Some(length), Some(get), Some(identifier), Some(set), Some(release)) = (
            function::<unsafe extern "C" fn() -> *mut c_void>(c"webkit_settings_get_all_features"),
            function::<unsafe extern "C" fn(*mut c_void) -> usize>(
                c"webkit_feature_list_get_length",
            ),
            function::<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>(
                c"webkit_feature_list_get",
            ),
            function::<unsafe extern "C" fn(*mut c_void) -> *const c_char>(
                c"webkit_feature_get_identifier",
            ),
            function::<unsafe extern "C" fn(*mut c_void, *mut c_void, c_int)>(
                c"webkit_settings_set_feature_enabled",
            ),
            function::<unsafe extern "C" fn(*mut c_void)>(c"webkit_feature_list_unref"),
        ) else {
            return false;
        };
        let features = all();
        let mut found = 0;
        for at in 0..length(features) {
            let feature = get(features, at);
            let name = identifier(feature);
            if !name.is_null() && names.contains(&CStr::from_ptr(name)) {
                set(settings, feature, c_int::from(enabled));
                found += 1;
            }
        }
        release(features);
        found == names.len()
    }
}

/// A function of the libraries that this process has loaded.
///
/// # Safety
/// `F` is the type of the function pointer with that name.
#[allow(unsafe_code, reason = "looks a function up by its name")]
unsafe fn function<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: a name that ends with a zero byte, and the caller's promise about the type.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        (!found.is_null()).then(|| std::mem::transmute_copy::<*mut c_void, F>(&found))
    }
}
