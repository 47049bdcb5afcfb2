/**
 * A pool of `size` connections to the order book. `acquire` gives the next free one, or null when all are taken:
 * the caller decides whether that order waits in the queue.
 */
export function createPool(size) {
  const idle = Array.from({ length: size }, (_, index) => ({ id: index + 1, rows: 0 }));
  return {
    size,
    idle: () => idle.length,
    acquire() {
      const connection = idle.pop();
      if (!connection) return null;
      return { ...connection, release: () => idle.push(connection) };
    },
  };
}
