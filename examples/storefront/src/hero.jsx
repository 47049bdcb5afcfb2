export function Hero({ headline }) {
  return (
    <section className="hero" id="shop">
      <div>
        <small>Since the first timetable</small>
        <h1>{headline}</h1>
        <p>Lamps, clocks and small brass things, made well by people who still like the train.</p>
        <a className="primary" href="#lantern">
          See the shelf
        </a>
      </div>
      <Landscape />
    </section>
  );
}

/** Evening on a branch line: hills, a viaduct with its train, and a signal that takes the release's own colour. */
function Landscape() {
  return (
    <svg viewBox="0 0 640 420" aria-hidden="true" preserveAspectRatio="xMidYMid slice">
      <defs>
        <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
          <stop offset="0" stopColor="#f7d9a8" />
          <stop offset="0.55" stopColor="#f3b48b" />
          <stop offset="1" stopColor="#d98a78" />
        </linearGradient>
      </defs>
      <rect width="640" height="420" fill="url(#sky)" />
      <circle cx="455" cy="150" r="58" fill="#fff1cf" opacity="0.9" />
      <path d="M0 250 Q90 170 190 215 T400 190 T640 230 V420 H0Z" fill="#b9747a" opacity="0.75" />
      <path d="M0 290 Q120 225 250 270 T480 250 T640 285 V420 H0Z" fill="#7c5a6b" />
      <path d="M0 420 V345 Q160 300 330 340 T640 325 V420Z" fill="#3a3a4c" />
      <Viaduct />
      <Train />
      <Signal />
    </svg>
  );
}

function Viaduct() {
  const arches = [40, 120, 200, 280, 360, 440, 520, 600];
  return (
    <g fill="#59465a">
      <rect x="0" y="262" width="640" height="16" />
      {arches.map((x) => (
        <path key={x} d={archPath(x)} />
      ))}
    </g>
  );
}

const archPath = (x) =>
  `M${x - 48} 278 h16 v100 h-16z ` +
  `M${x - 32} 278 h64 v4 q-32 0 -32 0 q-32 4 -32 44z ` +
  `M${x + 32} 278 v48 q0 -44 -32 -44z`;

function Train() {
  const carriages = [110, 206, 302];
  return (
    <g>
      {carriages.map((x) => (
        <g key={x}>
          <rect x={x} y="226" width="90" height="32" rx="5" fill="#1d2430" />
          {[10, 29, 48, 67].map((window) => (
            <rect key={window} x={x + window} y="232" width="13" height="11" rx="2" fill="#ffe2a0" />
          ))}
          <circle cx={x + 18} cy="259" r="5" fill="#11151c" />
          <circle cx={x + 72} cy="259" r="5" fill="#11151c" />
        </g>
      ))}
      <path d="M398 258 V226 h42 v8 h30 q18 0 18 24z" fill="var(--accent)" />
      <rect x="404" y="231" width="22" height="12" rx="2" fill="#ffe2a0" />
      <rect x="456" y="218" width="9" height="17" rx="2" fill="#1d2430" />
      <circle cx="414" cy="259" r="5" fill="#11151c" />
      <circle cx="440" cy="259" r="6" fill="#11151c" />
      <circle cx="470" cy="259" r="6" fill="#11151c" />
      <g fill="#fff6e3" opacity="0.75">
        <circle cx="455" cy="202" r="9" />
        <circle cx="438" cy="190" r="13" />
        <circle cx="412" cy="180" r="17" />
      </g>
    </g>
  );
}

function Signal() {
  return (
    <g>
      <rect x="561" y="120" width="8" height="245" fill="#1d2430" />
      <rect x="545" y="108" width="40" height="84" rx="12" fill="#1d2430" />
      <circle cx="565" cy="130" r="12" fill="#4a4f5c" />
      <circle cx="565" cy="168" r="12" fill="var(--accent)" />
      <circle cx="565" cy="168" r="20" fill="var(--accent)" opacity="0.35" />
      <rect x="548" y="362" width="34" height="8" fill="#1d2430" />
    </g>
  );
}
