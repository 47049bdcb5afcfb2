import { useState } from "react";

export function Basket({ items, products, onEmpty }) {
  const [placed, setPlaced] = useState(null);
  const lines = Object.entries(items).map(([id, quantity]) => ({ id, quantity }));
  const count = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const total = lines.reduce((sum, { id, quantity }) => sum + quantity * priceOf(products, id), 0);

  const order = async () => {
    const answer = await fetch("/api/orders", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ items: lines }),
    });
    setPlaced(answer.ok ? "Thank you. Your order is on its way." : "That did not work. Please try again.");
    if (answer.ok) onEmpty();
  };

  return (
    <div className="basket">
      {placed && count === 0 && <output>{placed}</output>}
      <button type="button" className="primary" disabled={count === 0} onClick={order}>
        {count === 0 ? "Basket" : `Order ${count} for €${total}`}
      </button>
    </div>
  );
}

const priceOf = (products, id) => products.find((product) => product.id === id)?.price ?? 0;
