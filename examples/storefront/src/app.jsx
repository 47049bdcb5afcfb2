import { useState } from "react";
import { Basket } from "./basket.jsx";
import { Hero } from "./hero.jsx";
import { useProducts } from "./live.js";
import { ProductCard, ProductPage } from "./product.jsx";
import release from "./version.json";

export function App({ data }) {
  const { products, news, connected, servedBy } = useProducts();
  const [basket, setBasket] = useState({});
  const add = (id) => setBasket((items) => ({ ...items, [id]: (items[id] ?? 0) + 1 }));
  return (
    <>
      <Header servedBy={servedBy} connected={connected}>
        <Basket items={basket} products={products} onEmpty={() => setBasket({})} />
      </Header>
      <Ticker news={news} />
      <main>
        {data?.missing && <Missing />}
        {data?.product && (
          <ProductPage
            product={products.find(({ id }) => id === data.product.id) ?? data.product}
            onAdd={add}
          />
        )}
        {!data && (
          <>
            <Hero headline={release.headline} />
            <section className="grid" aria-label="Everything in the shop">
              {products.map((product) => (
                <ProductCard key={product.id} product={product} onAdd={add} />
              ))}
            </section>
          </>
        )}
      </main>
      <Footer servedBy={servedBy} />
    </>
  );
}

function Header({ servedBy, connected, children }) {
  return (
    <header>
      <a className="brand" href="/">
        Halt <i>&amp;</i> Co.
      </a>
      <nav>
        <a href="/#shop">Shop</a>
        <a href="/products/clock">Clocks</a>
        <a href="/products/lantern">Lanterns</a>
      </nav>
      <span className={connected ? "release live" : "release"} title="The release that answers you">
        v{servedBy?.version ?? release.version}
      </span>
      {children}
    </header>
  );
}

function Ticker({ news }) {
  return (
    <output className="ticker">
      <b>Live from the shelf</b>
      <span key={news?.at}>{news ? news.text : "Quiet on the platform. Place the first order."}</span>
    </output>
  );
}

function Missing() {
  return (
    <section className="missing">
      <h1>No train stops here.</h1>
      <p>
        This page is not on the timetable. <a href="/">Back to the shop</a>
      </p>
    </section>
  );
}

function Footer({ servedBy }) {
  return (
    <footer>
      <span>Halt &amp; Co., Platform 2</span>
      <span>Free delivery wherever the line goes</span>
      <code>
        v{servedBy?.version ?? release.version}
        {servedBy?.commit && ` · ${servedBy.commit.slice(0, 7)}`}
        {servedBy?.deploymentId && ` · ${servedBy.deploymentId}`}
      </code>
    </footer>
  );
}
