/** "The list of checks, or a policy, has changed": probers read it again. Payload: empty. */
export const CHECKS_CHANNEL = "checks_changed";
/** "This check's state has changed": for whoever shows it or waits for it. Payload: the check's id. */
export const CHECK_STATE_CHANNEL = "check_state_changed";
/** "Somebody asked for a round now": payload: the check's id. */
export const CHECK_REQUEST_CHANNEL = "check_requested";

/** The shares that the checks of a location are divided into. */
export const SHARDS = 64;
