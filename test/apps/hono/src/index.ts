import { Hono } from "hono";
import { stream } from "hono/streaming";

const app = new Hono();

app.get("/", (c) => c.text("hello from hono"));
app.get("/item/:id", (c) => c.json({ id: c.req.param("id"), query: c.req.query() }));
app.post("/echo", async (c) => c.json({ body: await c.req.text(), type: c.req.header("content-type") }, 201));
app.get("/stream", (c) =>
  stream(c, async (out) => {
    for (const part of ["one ", "two ", "three"]) await out.write(part);
  }),
);
app.get("/broken", () => {
  throw new Error("broken on purpose");
});
app.notFound((c) => c.text("nothing here", 404));

export default app;
