import type { Command } from "../command.ts";
import { cancel } from "./cancel.ts";
import { deploy } from "./deploy.ts";
import { doctor } from "./doctor.ts";
import { dora } from "./dora.ts";
import { down } from "./down.ts";
import { gatewayReload } from "./gateway-reload.ts";
import { list } from "./list.ts";
import { login } from "./login.ts";
import { logs } from "./logs.ts";
import { rollback } from "./rollback.ts";
import { status } from "./status.ts";
import { up } from "./up.ts";

/** Every command, in the order of `help`. */
export const COMMANDS: readonly Command[] = [
  up,
  deploy,
  status,
  logs,
  list,
  rollback,
  cancel,
  dora,
  doctor,
  login,
  gatewayReload,
  down,
];
