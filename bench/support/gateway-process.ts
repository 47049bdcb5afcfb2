/**
 * The gateway as a process of its own, options as JSON in the first argument; says `ready` on its IPC channel or
 * stdout.
 */
import { systemClock } from "../../src/foundation/clock.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { type GatewayOptions, startGateway } from "../../src/gateway/index.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as Omit<GatewayOptions, "log" | "clock">;
const gateway = await startGateway({ ...options, log: silentLog, clock: systemClock });
process.once("SIGTERM", () => void gateway.close().then(() => process.exit(0)));
