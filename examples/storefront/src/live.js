import { useEffect, useState } from "react";

const RECONNECT_MS = 800;

/** The products with their live stock, the newest piece of news, and which release serves this visitor. */
export function useProducts() {
  const [products, setProducts] = useState([]);
  const [news, setNews] = useState(null);
  const [connected, setConnected] = useState(false);
  const [servedBy, setServedBy] = useState(null);

  useEffect(() => {
    let stopped = false;
    let socket;
    let timer;
    const refresh = async () => {
      const [shelf, version] = await Promise.all(["/api/products", "/api/version"].map(getJson));
      if (stopped) return;
      setProducts(shelf.products);
      setServedBy(version);
    };
    const connect = () => {
      socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/live`);
      socket.onopen = () => {
        setConnected(true);
        refresh().catch(() => socket.close());
      };
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type !== "stock") return;
        setProducts((list) => list.map((p) => (p.id === message.id ? { ...p, stock: message.stock } : p)));
        setNews({ text: sentence(message), at: performance.now() });
      };
      // A release that leaves closes its sockets; the next one is already there to take them.
      socket.onclose = () => {
        setConnected(false);
        if (!stopped) timer = setTimeout(connect, RECONNECT_MS);
      };
    };
    connect();
    return () => {
      stopped = true;
      clearTimeout(timer);
      socket.close();
    };
  }, []);

  return { products, news, connected, servedBy };
}

async function getJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function sentence({ name, stock, kind }) {
  return kind === "sale"
    ? `${name} just left the shelf. ${stock} to go.`
    : `A delivery of ${name}: ${stock} on the shelf.`;
}
