import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { systemClock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { silentLog } from "../foundation/log.ts";
import { createHealth } from "../health/index.ts";
import { keepHealth } from "./keep-health.ts";
import type { CheckTables } from "./tables.ts";

it("makes an answer once, however those who ask vary its address", async () => {
  let made = 0;
  const own = createHealth({ checks: {} });
  const read = () => {
    made++;
    return own.read();
  };
  const counted = { ...own, read };
  // No database: what is answered then is of this process alone.
  const db = {} as Database<CheckTables>;
  const board = keepHealth({ db, clock: systemClock, log: silentLog, own: counted });
  const ask = (url: string) => {
    const response = { writeHead: () => response, end: () => response } as unknown as ServerResponse;
    return board.handle({ method: "GET", url, headers: {} } as IncomingMessage, response);
  };
  const urls = Array.from({ length: 50 }, (_, at) => `/api/health${at % 2 ? "/" : ""}?x=${at}`);
  expect(urls.map(ask)).toEqual(urls.map(() => true));
  expect(made).toBe(1);
  await board.close();
  own.close();
});
