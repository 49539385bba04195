//! Routes that are stored and switched off.

use lockgate_model::resource::Route;

/// Its author switched it off.
pub(crate) const STATUS: &str = "it is switched off (status 0)";

/// It cannot be honoured.
const LUA: &str = "filter_func and script need Lua, which is not built in; the route is off";

/// Why a route takes no requests, if it does not.
pub(crate) fn why(route: &Route) -> Option<&'static str> {
    if route.status == Some(0) {
        Some(STATUS)
    } else if route.filter_func.is_some() || route.script.is_some() {
        Some(LUA)
    } else {
        None
    }
}
