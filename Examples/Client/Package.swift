// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "client",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/example/swift-moe-kernels", from: "0.1.0")
  ],
  targets: [
    .executableTarget(name: "client", dependencies: [.product(name: "MoE", package: "swift-moe-kernels")])
  ]
)
