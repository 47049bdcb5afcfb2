import { EventEmitter } from "node:events";

const PRODUCTS = [
  {
    id: "lantern",
    name: "Guard's lantern",
    blurb: "Warm light, three colours of glass",
    price: 68,
    stock: 24,
  },
  { id: "clock", name: "Platform clock", blurb: "Double-faced, never early", price: 149, stock: 9 },
  { id: "mug", name: "Enamel tea mug", blurb: "Survives every refreshment room", price: 14, stock: 120 },
  { id: "tag", name: "Brass luggage tag", blurb: "Stamped by hand with your name", price: 22, stock: 64 },
  { id: "poster", name: "Coast line poster", blurb: "Four-colour print, 50 × 70 cm", price: 38, stock: 31 },
  { id: "flags", name: "Signal flags", blurb: "Stop, caution, clear: set of three", price: 32, stock: 45 },
  {
    id: "whistle",
    name: "Dispatch whistle",
    blurb: "Turned brass, heard in the next valley",
    price: 18,
    stock: 80,
  },
  { id: "punch", name: "Ticket punch", blurb: "Cuts a small, satisfying star", price: 27, stock: 38 },
];

/**
 * What is for sale and how many are left, in this process. Emits `change` with `{id, name, stock, kind}` for every
 * sale and delivery.
 */
export function createShelf() {
  const events = new EventEmitter().setMaxListeners(0);
  const products = new Map(PRODUCTS.map((product) => [product.id, { ...product, capacity: product.stock }]));

  const change = (product, stock, kind) => {
    product.stock = stock;
    events.emit("change", { id: product.id, name: product.name, stock, kind });
  };

  return {
    events,
    list: () => [...products.values()].map(({ capacity, ...product }) => product),
    get: (id) => products.get(id),
    /** Takes `quantity` off the shelf; the warehouse fills it up again when it gets empty, so a sale never fails. */
    sell(id, quantity) {
      const product = products.get(id);
      if (quantity > product.stock) change(product, product.capacity + quantity, "delivery");
      change(product, product.stock - quantity, "sale");
    },
  };
}
