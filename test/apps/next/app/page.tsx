export default function Page() {
  return <h1>Static page</h1>;
}
