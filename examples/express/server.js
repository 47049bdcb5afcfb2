import express from "express";

const app = express();
app.use(express.json());

app.get("/", (_request, response) => {
  response.json({ hello: "from Express" });
});

app.post("/echo", (request, response) => {
  response.json(request.body);
});

app.listen(process.env.PORT ?? 3000, () => console.log("listening"));
