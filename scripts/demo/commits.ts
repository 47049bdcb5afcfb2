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
