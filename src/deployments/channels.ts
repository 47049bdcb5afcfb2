/** "Look at this deployment": every control plane listens, and one of them gets the lease. Payload: the id. */
export const WAKE_CHANNEL = "deployment_wake";
/** "This deployment or its log has changed": for whoever shows it. Payload: the id. */
export const CHANGED_CHANNEL = "deployment_changed";
/** Delayed wake-ups that survive every process. */
export const ADVANCE_QUEUE = "deployment.advance";
