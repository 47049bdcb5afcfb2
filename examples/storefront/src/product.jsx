import { Illustration } from "./illustrations.jsx";

const TINTS = {
  lantern: "#f3d9a4",
  clock: "#cfdde3",
  mug: "#dfe6cf",
  tag: "#ead7bd",
  poster: "#f2c9b4",
  flags: "#e4d3e0",
  whistle: "#d6dfd6",
  punch: "#d9d8ea",
};

export function ProductCard({ product, onAdd }) {
  return (
    <article className="card" id={product.id}>
      <a className="picture" href={`/products/${product.id}`} style={{ background: TINTS[product.id] }}>
        <Illustration of={product.id} />
      </a>
      <div className="line">
        <h3>{product.name}</h3>
        <b>€{product.price}</b>
      </div>
      <p>{product.blurb}</p>
      <div className="line">
        <Stock left={product.stock} />
        <button
          type="button"
          onClick={() => onAdd(product.id)}
          aria-label={`Add ${product.name} to the basket`}
        >
          Add
        </button>
      </div>
    </article>
  );
}

export function ProductPage({ product, onAdd }) {
  return (
    <section className="product">
      <div className="picture" style={{ background: TINTS[product.id] }}>
        <Illustration of={product.id} />
      </div>
      <div>
        <a href="/">← All goods</a>
        <h1>{product.name}</h1>
        <p>{product.blurb}. Made to last longer than the timetable, repaired for free if it does not.</p>
        <p className="price">€{product.price}</p>
        <Stock left={product.stock} />
        <button type="button" onClick={() => onAdd(product.id)}>
          Add to the basket
        </button>
      </div>
    </section>
  );
}

function Stock({ left }) {
  return (
    <span className={left < 10 ? "stock low" : "stock"}>
      {left < 10 ? `only ${left} left` : `${left} in stock`}
    </span>
  );
}
