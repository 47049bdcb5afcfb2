import { createRoot } from "react-dom/client";
import { App } from "./app.jsx";
import "./styles.css";

createRoot(document.getElementById("root")).render(<App data={readData()} />);

/** What the server already knew about this page; null for the front page, which is a plain file. */
function readData() {
  const element = document.getElementById("data");
  return element ? JSON.parse(element.textContent) : null;
}
