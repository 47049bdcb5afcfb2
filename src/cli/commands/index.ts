import type { Command } from "../command.ts";
import { approve } from "./approve.ts";
import { breakGlass } from "./break-glass.ts";
import { cancel } from "./cancel.ts";
import { check, checks } from "./check.ts";
import { deploy } from "./deploy.ts";
import { dockLogin } from "./dock-login.ts";
import { doctor } from "./doctor.ts";
import { dora } from "./dora.ts";
import { down } from "./down.ts";
import { failover } from "./failover.ts";
import { freezeAdd, freezeList, freezeRemove } from "./freeze.ts";
import { gatewayReload } from "./gateway-reload.ts";
import { list } from "./list.ts";
import { lock } from "./lock.ts";
import { locks } from "./locks.ts";
import { login } from "./login.ts";
import { logs } from "./logs.ts";
import { networkAllow, networkDeny, networkList } from "./network.ts";
import { outside } from "./outside.ts";
import { plan } from "./plan.ts";
import { previews } from "./previews.ts";
import { reject } from "./reject.ts";
import { rollback } from "./rollback.ts";
import { abort, advance, pause, promote, resume } from "./rollout-signals.ts";
import { secretDelete, secretList, secretSet } from "./secret.ts";
import { status } from "./status.ts";
import { unlock } from "./unlock.ts";
import { up } from "./up.ts";

/** Every command, in the order of `help`. */
export const COMMANDS: readonly Command[] = [
  up,
  plan,
  deploy,
  status,
  logs,
  list,
  rollback,
  promote,
  advance,
  pause,
  resume,
  abort,
  cancel,
  approve,
  reject,
  breakGlass,
  lock,
  unlock,
  locks,
  freezeAdd,
  freezeList,
  freezeRemove,
  previews,
  failover,
  outside,
  check,
  checks,
  secretSet,
  secretList,
  secretDelete,
  networkAllow,
  networkList,
  networkDeny,
  dora,
  doctor,
  login,
  dockLogin,
  gatewayReload,
  down,
];
