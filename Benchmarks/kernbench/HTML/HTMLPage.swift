// The frame of every page that kernbench writes.

enum HTMLPage {
  /// A page of its own, without anything to fetch; `body` ends with a line break.
  static func text(title: String, body: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(title.escaped)</title>
    <style>
    \(HTMLReport.style)
    </style>
    </head>
    <body>
    \(body)</body>
    </html>

    """
  }
}
