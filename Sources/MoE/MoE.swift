// The umbrella: `import MoE` brings every public name of the package.

@_exported public import MoECheckpoint
@_exported public import MoEDispatch
@_exported public import MoEExperts
@_exported public import MoEFamilies
@_exported public import MoEOpenCL
@_exported public import MoEPlacement
@_exported public import MoERouting
@_exported public import MoETensors
@_exported public import MoETraces
