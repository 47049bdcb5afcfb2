import { randomUUID } from "node:crypto";
import { createPool } from "./pool.js";

const MAX_QUANTITY = 20;

/** The order book: checks orders, writes them over a pooled connection, queues them while no connection is free. */
export function createOrders(shelf) {
  const pool = createPool(12);
  const queue = [];

  return {
    /** Every problem of an order, by field; empty when it can be placed. */
    problemsOf(order) {
      const items = Array.isArray(order?.items) ? order.items : [];
      const problems = items.flatMap((item, index) => itemProblems(shelf, item, index));
      if (items.length === 0) problems.push({ field: "items", message: "An order needs at least one item." });
      return problems;
    },

    /** Places a checked order. `status` is "queued" when the order book was busy; it is written later then. */
    async place({ items }) {
      const order = { id: randomUUID(), items, total: totalOf(shelf, items) };
      for (const { id, quantity } of items) shelf.sell(id, quantity);
      const connection = pool.acquire();
      if (!connection) {
        queue.push(order);
        return { ...order, status: "queued" };
      }
      try {
        await write(connection, order);
        return { ...order, status: "placed" };
      } finally {
        connection.release();
      }
    },

    /** Ready while an order can be written at once. */
    health: () => ({ ok: pool.idle() > 0, idle: pool.idle(), size: pool.size, queued: queue.length }),
  };
}

function itemProblems(shelf, item, index) {
  const problems = [];
  if (!shelf.get(item?.id)) {
    problems.push({ field: `items[${index}].id`, message: `There is no product "${item?.id}".` });
  }
  if (!Number.isInteger(item?.quantity) || item.quantity < 1 || item.quantity > MAX_QUANTITY) {
    const message = `Must be a whole number from 1 to ${MAX_QUANTITY}.`;
    problems.push({ field: `items[${index}].quantity`, message });
  }
  return problems;
}

const totalOf = (shelf, items) =>
  items.reduce((sum, { id, quantity }) => sum + shelf.get(id).price * quantity, 0);

/** Writes one order: a round trip, so the event loop turns while the connection is taken. */
async function write(connection, order) {
  await new Promise((resolve) => setImmediate(resolve));
  connection.rows += order.items.length;
}
