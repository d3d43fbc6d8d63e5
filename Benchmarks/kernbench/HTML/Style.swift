// The style sheet of HTML reports: light and dark, from phones to desks.

extension HTMLReport {
  static let style = """
    :root {
      --ground: #fbfaf8; --card: #fff; --ink: #1d1d1f; --soft: #6a6a70; --rule: #e4e2de; --roof: #4a4a50; --bad: #b3261e; --share-bar: #dfe8f3;
      --c0: #2f6fd0; --c1: #d9730d; --c2: #17866b; --c3: #c2365b; --c4: #7a4fc9; --c5: #0d8fa8; --c6: #8a7a12; --c7: #7d5a45;
      --s0: #8d9198; --s1: #c4a484; --s2: #8c7aa9; --s3: #3d4d66; --s4: #5d779c; --s6: #6f8f72;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --ground: #141518; --card: #1c1d21; --ink: #ececee; --soft: #9b9ca3; --rule: #303238; --roof: #b9bac0; --bad: #ff8a80; --share-bar: #2a3a52;
        --c0: #6ea8ff; --c1: #f5a04c; --c2: #4fc9a5; --c3: #f2799a; --c4: #b394f5; --c5: #4cc4dc; --c6: #cfbd4a; --c7: #c29a82;
        --s0: #6f747c; --s1: #b3926f; --s2: #84719f; --s3: #40547a; --s4: #647da3; --s6: #66866a;
      }
    }
    * { box-sizing: border-box; }
    body {
      margin: 0 auto; padding: 32px 24px 64px; max-width: 1060px; background: var(--ground); color: var(--ink);
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; -webkit-text-size-adjust: 100%;
    }
    h1 { margin: 0 0 16px; font-size: 26px; line-height: 1.2; letter-spacing: -.01em; overflow-wrap: anywhere; }
    h2 { margin: 0 0 4px; font-size: 18px; }
    h3 { margin: 18px 0 6px; font-size: 14px; overflow-wrap: anywhere; }
    p { margin: 0 0 12px; color: var(--soft); }
    .kicker { margin: 0 0 2px; font-weight: 600; font-size: 13px; color: var(--soft); }
    dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px 16px; margin: 0 0 20px; }
    dt { font-size: 12px; color: var(--soft); }
    dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
    .wide-fact { grid-column: 1 / -1; }
    .wide-fact dd { font-weight: 400; }
    section { margin: 0 0 20px; padding: 20px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
    svg { display: block; width: 100%; height: auto; }
    svg.narrow { display: none; }
    .grid { stroke: var(--rule); stroke-width: 1; }
    .axis { stroke: var(--soft); stroke-width: 1; }
    .roof { stroke: var(--roof); stroke-width: 1.75; stroke-linecap: round; }
    .series { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .dashed { stroke-dasharray: 5 4; }
    .mark { stroke: var(--card); stroke-width: 1.25; }
    svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
    svg .label { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
    .mid { text-anchor: middle; }
    .end { text-anchor: end; }
    header .notes { margin-bottom: 24px; }
    .legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0 12px; padding: 0; list-style: none; font-size: 13px; }
    .legend li { display: flex; align-items: center; }
    i { display: inline-block; flex: none; width: 10px; height: 10px; margin-right: 7px; border-radius: 50%; }
    .bars i, table i { vertical-align: 0; }
    i.diamond { border-radius: 0; transform: rotate(45deg) scale(.85); }
    .legend i.disc, .legend i.diamond { border: 2px solid var(--soft); }
    .legend i.route, .legend i.plan, .legend i.gateUp, .legend i.down { border-radius: 3px; }
    .panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 16px 24px; }
    figure { margin: 0; max-width: 410px; }
    figcaption { font-weight: 600; font-size: 14px; margin-bottom: 4px; overflow-wrap: anywhere; }
    .row { display: grid; grid-template-columns: 170px 1fr 84px; gap: 0 12px; align-items: center; padding: 2px 0; font-size: 13px; }
    .what { overflow-wrap: anywhere; }
    .sum { text-align: right; font-variant-numeric: tabular-nums; }
    .bar { display: flex; height: 20px; gap: 1px; overflow: hidden; border-radius: 4px; }
    .bar span { flex: 0 1 0; min-width: 0; color: #fff; font-size: 11px; line-height: 20px; text-align: center; overflow: hidden; }
    .route { background: var(--s0); } .plan { background: var(--s1); } .gateUp { background: var(--s3); }
    .down { background: var(--s4); }
    .scroll { overflow-x: auto; }
    table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
    th { font-weight: 600; color: var(--soft); }
    th, td { padding: 5px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
    th:first-child, td:first-child { padding-left: 0; text-align: left; }
    th.layer { padding-top: 16px; color: var(--ink); font-size: 14px; white-space: normal; overflow-wrap: anywhere; }
    td.kernel, thead th:last-child { text-align: left; }
    td.kernel { color: var(--soft); white-space: normal; overflow-wrap: anywhere; }
    td.bad { color: var(--bad); text-align: left; white-space: normal; }
    .roofshare { min-width: 64px; background: linear-gradient(var(--share-bar), var(--share-bar)) no-repeat left center / var(--share) 70%; }
    .noisy { color: var(--soft); }
    .notes { margin: 8px 0 0; padding-left: 18px; color: var(--soft); font-size: 13px; }
    @media (max-width: 640px) {
      body { padding: 20px 12px 40px; }
      section { padding: 16px 12px; }
      h1 { font-size: 21px; }
      dl { grid-template-columns: 1fr 1fr; }
      svg.wide { display: none; }
      svg.narrow { display: block; }
      .row { grid-template-columns: 1fr auto; padding: 4px 0; }
      .bar { grid-row: 2; grid-column: 1 / -1; }
      .extra { display: none; }
      table { font-size: 12px; }
      th, td { padding: 5px 3px; }
      td:first-child { white-space: normal; overflow-wrap: anywhere; }
      table i { margin-right: 5px; }
      .roofshare { min-width: 0; }
    }
    """
}
