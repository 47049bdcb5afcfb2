import type { Commit, Repository } from "./repository.ts";

/** The shop opens, as the example has it. */
export function openTheShop(repository: Repository): Promise<Commit> {
  return repository.commit("Open the shop");
}

/** A harmless change that everybody sees: another headline, another colour. */
export async function paintItBlue(repository: Repository): Promise<Commit> {
  await repository.restyle({ version: "2.0.0", headline: "The night train is back", accent: "#2b5fa8" });
  return repository.commit("Announce the night train");
}

const CAREFUL = `      try {
        await write(connection, order);
        return { ...order, status: "placed" };
      } finally {
        connection.release();
      }
`;

const HASTY = `      // Orders come in pairs: keep the connection for the visitor's next one.
      await write(connection, order);
      return { ...order, status: "placed" };
`;

/**
 * A change that reviews well and passes every check before it gets traffic: connections are no longer given back.
 * Each order leaks one, until the order book cannot be reached and the health answer says so.
 */
export async function keepConnections(repository: Repository): Promise<Commit> {
  await repository.restyle({ version: "3.0.0", headline: "Two orders, one click", accent: "#a8452b" });
  await repository.edit("server/orders.js", CAREFUL, HASTY);
  return repository.commit("Keep the connection for the next order");
}

/** On a branch of its own: what its preview shows. */
export async function wrapAsGifts(repository: Repository): Promise<Commit> {
  await repository.edit("server/orders.js", HASTY, CAREFUL);
  await repository.restyle({ version: "3.1.0", headline: "Wrapped as a gift", accent: "#7a4b8f" });
  return repository.commit("Offer gift wrapping");
}

const CANARY = `    strategy:
      canary:
        steps:
          - { weight: 25, bake: 3s }
          - { weight: 50, bake: 3s }
        max_error_rate: 0.05
        min_requests: 50
`;

const ASKS_AND_FLIPS = `    approvals: { required: 1 }
    strategy:
      blue_green: { watch: 3s, analysis: { max_error_rate: 0.05, min_requests: 50, interval: 1s } }
`;

/** Gives the connection back again, and has the commit's own configuration ask a second person, then flip. */
export async function askFirst(repository: Repository): Promise<Commit> {
  await repository.edit("server/orders.js", HASTY, CAREFUL);
  await repository.edit("signalbox.yaml", CANARY, ASKS_AND_FLIPS);
  await repository.restyle({ version: "4.0.0", headline: "Two people looked at this", accent: "#2f7d57" });
  return repository.commit("Give connections back; ask before production");
}

const EXPAND = `alter table orders add column note text;
update orders set note = remark;
-- As long as a larger table would take.
select pg_sleep(1);
`;

/** A column is renamed in two halves, beside the code that stops using its old name. */
export async function renameTheRemark(repository: Repository, databaseUrl: string): Promise<Commit> {
  await repository.add("db/expand/0001_note.sql", EXPAND);
  await repository.add("db/contract/0001_remark.sql", "alter table orders drop column remark;\n");
  await repository.edit(
    "signalbox.yaml",
    ASKS_AND_FLIPS,
    `    env: { DATABASE_URL: "${databaseUrl}" }
    rollback_window: 2s
${ASKS_AND_FLIPS}
migrations:
  expand: db/expand
  contract: db/contract
  hold: { max: 20s, requests: 1000 }
`,
  );
  await repository.restyle({ version: "5.0.0", headline: "A note with every order", accent: "#8a5a2b" });
  return repository.commit("Call a remark a note");
}
