const INK = "#1d2430";
const BRASS = "#c2913f";
const PAPER = "#fffaf0";

const DRAWINGS = {
  lantern: (
    <>
      <path d="M74 62 Q100 20 126 62" fill="none" stroke={INK} strokeWidth="6" />
      <path d="M70 76 L82 58 H118 L130 76Z" fill={INK} />
      <rect x="70" y="76" width="60" height="72" rx="6" fill={INK} />
      <circle cx="100" cy="110" r="24" fill="#ffd56b" />
      <circle cx="100" cy="110" r="14" fill="#fff3c9" />
      <circle cx="100" cy="110" r="28" fill="none" stroke={BRASS} strokeWidth="5" />
      <rect x="62" y="146" width="76" height="12" rx="4" fill={BRASS} />
    </>
  ),
  clock: (
    <>
      <rect x="93" y="24" width="14" height="24" fill={INK} />
      <circle cx="100" cy="102" r="58" fill={INK} />
      <circle cx="100" cy="102" r="48" fill={PAPER} />
      {Array.from({ length: 12 }, (_, hour) => hour * 30).map((angle) => (
        <rect
          key={angle}
          x="98"
          y="58"
          width="4"
          height="9"
          fill={INK}
          transform={`rotate(${angle} 100 102)`}
        />
      ))}
      <rect x="97" y="74" width="6" height="30" rx="3" fill={INK} transform="rotate(-60 100 102)" />
      <rect x="98" y="64" width="4" height="40" rx="2" fill={INK} transform="rotate(48 100 102)" />
      <circle cx="100" cy="102" r="5" fill="#c8402f" />
    </>
  ),
  mug: (
    <>
      <path d="M132 84 h14 q18 0 18 22 t-18 22 h-14" fill="none" stroke={INK} strokeWidth="9" />
      <path d="M56 64 H136 V142 Q136 156 122 156 H70 Q56 156 56 142Z" fill={PAPER} />
      <path d="M56 64 H136 V76 H56Z" fill="#2e5d8a" />
      <circle cx="96" cy="114" r="18" fill="none" stroke="#2e5d8a" strokeWidth="6" />
      <rect x="70" y="110" width="52" height="8" fill="#2e5d8a" />
      <path
        d="M78 52 q-6 -10 0 -18 M98 52 q-6 -10 0 -18 M118 52 q-6 -10 0 -18"
        fill="none"
        stroke={INK}
        strokeWidth="3"
        opacity="0.4"
      />
    </>
  ),
  tag: (
    <g transform="rotate(-14 100 104)">
      <path d="M100 20 q-20 18 0 38" fill="none" stroke="#7a4a2b" strokeWidth="7" />
      <path d="M66 74 L84 52 H116 L134 74 V150 Q134 158 126 158 H74 Q66 158 66 150Z" fill={BRASS} />
      <circle cx="100" cy="68" r="8" fill="#ead7bd" />
      <path d="M80 96 h40 M80 112 h40 M80 128 h26" stroke={INK} strokeWidth="5" opacity="0.75" />
    </g>
  ),
  poster: (
    <>
      <rect x="52" y="26" width="96" height="140" fill={PAPER} />
      <rect x="58" y="32" width="84" height="98" fill="#f0a860" />
      <circle cx="118" cy="62" r="15" fill="#fff1cf" />
      <path d="M58 92 q20 -22 42 -4 t42 -6 v48 H58z" fill="#2e6f80" />
      <path d="M58 112 q24 -12 46 2 t38 0 v16 H58z" fill="#173f55" />
      <path d="M72 104 l8 -26 l12 26z" fill={PAPER} />
      <path d="M66 142 h68 M78 153 h44" stroke={INK} strokeWidth="5" />
    </>
  ),
  flags: (
    <>
      {[
        ["#c8402f", -34],
        ["#e0a526", 0],
        ["#2f7d57", 34],
      ].map(([colour, angle]) => (
        <g key={colour} transform={`rotate(${angle} 100 164)`}>
          <rect x="97" y="44" width="6" height="122" rx="3" fill="#7a4a2b" />
          <path d="M103 46 q14 -8 24 0 t22 0 v34 q-12 8 -22 0 t-24 0z" fill={colour} />
        </g>
      ))}
    </>
  ),
  whistle: (
    <g transform="rotate(-12 100 104)">
      <rect x="30" y="86" width="76" height="26" rx="4" fill={BRASS} />
      <rect x="70" y="80" width="18" height="13" fill={INK} />
      <circle cx="124" cy="110" r="36" fill={BRASS} />
      <circle cx="124" cy="110" r="20" fill="#a87a30" />
      <circle cx="124" cy="110" r="8" fill="#f0cf8c" />
      <circle cx="168" cy="100" r="10" fill="none" stroke={INK} strokeWidth="5" />
    </g>
  ),
  punch: (
    <>
      <path d="M56 156 Q62 104 104 92 L146 76 L152 92 L112 110 Q84 122 80 158Z" fill={INK} />
      <path d="M94 160 Q98 122 124 108 L154 98 L158 112 L134 124 Q116 134 116 162Z" fill="#5d6675" />
      <circle cx="112" cy="104" r="7" fill={BRASS} />
      <g transform="rotate(14 138 60)">
        <rect x="104" y="36" width="72" height="38" rx="3" fill={PAPER} />
        <path d="M114 48 h26 M114 60 h18" stroke={INK} strokeWidth="4" opacity="0.6" />
        <path d="M158 45 l3 7 7 1 -5 5 1 7 -6 -4 -6 4 1 -7 -5 -5 7 -1z" fill="#b9b2d6" />
      </g>
    </>
  ),
};

export function Illustration({ of }) {
  return (
    <svg viewBox="0 0 200 184" aria-hidden="true">
      <ellipse cx="100" cy="166" rx="62" ry="7" fill={INK} opacity="0.12" />
      {DRAWINGS[of]}
    </svg>
  );
}
