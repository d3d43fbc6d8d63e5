// swift-tools-version: 6.2
import PackageDescription

let rules: [SwiftSetting] = [
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "swift-moe-kernels",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "MoE", targets: ["MoE"]),
    .library(name: "CMoEKernels", targets: ["CMoEKernels"]),
    .executable(name: "kernbench", targets: ["kernbench"]),
  ],
  traits: [
    .trait(name: "Hwloc", description: "Read the machine's topology and bind memory through hwloc."),
    .trait(name: "OpenCL", description: "Find OpenCL devices and build the OpenCL backend."),
    .trait(name: "OpenBLAS", description: "Build the explicit f32 backend over OpenBLAS."),
    .default(enabledTraits: ["Hwloc", "OpenCL", "OpenBLAS"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    // Ground.
    .target(name: "CMoEKernels", path: "CKernels", exclude: ["README.md", "opencl"], cSettings: [.enableWarning("all")]),
    .systemLibrary(
      name: "CMoEHwloc", path: "SystemLibraries/CMoEHwloc", pkgConfig: "hwloc",
      providers: [.apt(["libhwloc-dev"]), .brew(["hwloc"])]),
    .systemLibrary(
      name: "CMoEOpenCL", path: "SystemLibraries/CMoEOpenCL", pkgConfig: "OpenCL",
      providers: [.apt(["ocl-icd-opencl-dev", "opencl-headers"])]),
    .systemLibrary(
      name: "CMoEOpenBLAS", path: "SystemLibraries/CMoEOpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),

    // Floors, in the order the data travels: a target imports only targets listed before it.
    .target(name: "MoETensors", dependencies: ["CMoEKernels"], swiftSettings: rules),
    .target(name: "MoECheckpoint", dependencies: ["MoETensors"], swiftSettings: rules),
    .target(name: "MoETraces", dependencies: ["MoETensors", "MoECheckpoint"], swiftSettings: rules),
    .target(
      name: "MoEPlacement",
      dependencies: [.target(name: "CMoEHwloc", condition: .when(traits: ["Hwloc"]))],
      swiftSettings: rules),
    .target(name: "MoEExperts", dependencies: ["CMoEKernels", "MoETensors", "MoEPlacement"], swiftSettings: rules),
    .target(name: "MoERouting", dependencies: ["CMoEKernels", "MoETensors"], swiftSettings: rules),
    .target(name: "MoEDispatch", dependencies: ["MoERouting"], swiftSettings: rules),
    .target(
      name: "MoEGroupedGEMM",
      dependencies: [
        "CMoEKernels", "MoETensors", "MoEPlacement", "MoEExperts", "MoEDispatch", "MoERouting",
        .target(name: "CMoEOpenBLAS", condition: .when(traits: ["OpenBLAS"])),
      ],
      swiftSettings: rules),
    .target(
      name: "MoEOpenCL",
      dependencies: [
        "CMoEKernels", "MoETensors", "MoECheckpoint", "MoEPlacement", "MoEExperts", "MoERouting", "MoEDispatch", "MoEGroupedGEMM",
        .target(name: "CMoEOpenCL", condition: .when(traits: ["OpenCL"])),
      ],
      swiftSettings: rules),
    .target(
      name: "MoEFamilies", dependencies: ["MoETensors", "MoECheckpoint", "MoEPlacement", "MoEExperts", "MoERouting"],
      swiftSettings: rules),
    .target(
      name: "MoE",
      dependencies: [
        "MoETensors", "MoECheckpoint", "MoETraces", "MoEPlacement", "MoEExperts", "MoERouting", "MoEDispatch", "MoEGroupedGEMM",
        "MoEOpenCL", "MoEFamilies",
      ],
      swiftSettings: rules),

    // Proof.
    .target(name: "MoEReference", path: "Tests/MoEReference", swiftSettings: rules),
    .target(name: "CMoEAllocationCounter", path: "Tests/AllocationCounter"),
    .executableTarget(
      name: "kernbench",
      dependencies: ["MoE", "MoEReference", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "Benchmarks/kernbench", resources: [.copy("Peers/drivers")], swiftSettings: rules),
    .testTarget(name: "KernelTests", dependencies: ["CMoEKernels", "MoETensors", "MoECheckpoint", "MoEReference"]),
    .testTarget(name: "CheckpointTests", dependencies: ["MoECheckpoint", "MoETensors", "MoEReference"]),
    .testTarget(name: "PlacementTests", dependencies: ["MoEPlacement", "MoEOpenCL", "MoETraces", "MoECheckpoint"]),
    .testTarget(name: "RoutingTests", dependencies: ["MoERouting", "MoEDispatch", "MoEReference"]),
    .testTarget(name: "LayerTests", dependencies: ["MoE", "MoEGroupedGEMM", "MoEReference", "CMoEAllocationCounter"]),
  ],
  cLanguageStandard: .gnu17
)
